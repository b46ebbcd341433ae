"""The table of times: the chosen policy beside every expert alone, in GMACs and in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.evaluation.results import Evaluation, Result
from orxe_plugins.evaluation.times import TAILS, Timed, TimeResult
from orxe_plugins.report.formats import Formats, metric_head, short_names, significant
from orxe_plugins.report.tables import Column, Table

#: figures that differ by less than this share are called equal
_ALIKE = 0.05


def time_table(evaluation: Evaluation, times: TimeResult) -> Table:
    """One row for the chosen policy, one for each expert that answers all samples alone."""
    formats = Formats.of(evaluation)
    with_gmacs = times.chosen.gmacs is not None
    with_tails = any(each.tails for each in (times.chosen, *times.experts))
    names = short_names(evaluation.names, width=48)
    columns = (
        Column("What answers", numeric=False),
        Column(metric_head(evaluation.metric_name, evaluation.percent)),
        *((Column("GMACs", hint="per sample; 1 MAC = 2 FLOPs"),) if with_gmacs else ()),
        Column("ms", hint=times.words),
        Column("Samples/s", drop=1, hint="1000 / ms"),
        *((Column(f"p{tail} ms", drop=2, hint=_hint(tail)) for tail in TAILS) if with_tails else ()),
    )

    def row(name: str, result: Result, each: Timed) -> tuple[str, ...]:
        gmacs = (significant(each.gmacs),) if with_gmacs and each.gmacs is not None else ()
        tails = tuple(map(significant, each.tails)) or ("",) * len(TAILS)
        rate = significant(1000 / each.ms) if each.ms else ""
        return (
            name,
            formats.score(result.score.value),
            *gmacs,
            significant(each.ms),
            rate,
            *(tails if with_tails else ()),
        )

    rows = [
        row(f"#{expert.index + 1} {names[expert.index]} alone", expert.result, each)
        for expert, each in zip(evaluation.experts, times.experts, strict=True)
    ]
    if len(evaluation.chosen.policy.reachable) > 1:
        rows.insert(0, row("the chosen policy", evaluation.chosen.result, times.chosen))
    note = (
        f"ms: {times.words}. Medians of measured times of the experts, put together by the recorded routes; routing "
        "itself is not in them."
    )
    note = " ".join([note, *disagreements(names, times)])
    return Table(f"Time ({times.where})", columns, tuple(rows), note=note)


def disagreements(names: Sequence[str], times: TimeResult) -> tuple[str, ...]:
    """Where multiply-accumulates and time disagree: experts that cost more of the one and less of the other.

    Args:
        names: of the experts.
        times: what they take.
    """
    every = zip(times.experts, names, strict=True)
    known = [(each.gmacs, each.ms, name) for each, name in every if each.gmacs and each.ms]
    pairs = [
        (costly, cheap)
        for costly in known
        for cheap in known
        if costly[0] > cheap[0] * (1 + _ALIKE) and costly[1] * (1 + _ALIKE) < cheap[1]
    ]
    if not pairs:
        return ()
    # The pair that counts would mislead most about.
    costly, cheap = max(pairs, key=lambda pair: pair[0][0] / pair[1][0] * pair[1][1] / pair[0][1])
    return (
        f"GMACs and time disagree: {costly[2]} has {significant(costly[0])} GMACs against {significant(cheap[0])} of "
        f"{cheap[2]}, but takes {significant(costly[1])} ms against {significant(cheap[1])}.",
    )


def profile_table(measured: LatencyTable) -> Table:
    """What a profile measured: milliseconds of whole batches, and of single samples."""
    names = short_names(list(measured.ms), width=48)
    details = measured.details
    columns = (
        Column("Expert", numeric=False),
        *(Column(f"batch {size}", hint="median milliseconds of a whole batch") for size in measured.batch_sizes),
        Column("10 to 90 %", numeric=False, drop=1, hint="of the largest batch"),
        *((Column(f"p{tail} of one", drop=2, hint=_hint(tail)) for tail in TAILS) if measured.single else ()),
    )
    rows = []
    for name, short in zip(measured.ms, names, strict=True):
        whole = [significant(float(measured.alone_ms(name, size))) for size in measured.batch_sizes]
        spread = measured.spread.get(name)
        ends = f"{significant(spread[-1][0])} to {significant(spread[-1][1])}" if spread else ""
        single = measured.single.get(name)
        tails = [significant(float(value)) for value in np.percentile(single, TAILS)] if single else [""] * len(TAILS)
        rows.append((short, *whole, ends, *(tails if measured.single else ())))
    where = ", ".join(str(details[key]) for key in ("machine", "dtype", "backend", "input") if key in details)
    return Table(f"Milliseconds ({where})", columns, tuple(rows))


def _hint(tail: int) -> str:
    return f"{tail} % of the samples that come one by one take no longer"
