"""The table of promised drops: what was tested on the choosing split, and what the reporting split says of it."""

from __future__ import annotations

from orxe_plugins.evaluation.results import Evaluation, PromiseResult
from orxe_plugins.report.formats import Formats, plain
from orxe_plugins.report.tables import Column, Table


def promise_table(evaluation: Evaluation) -> Table:
    """One row for each promise of an evaluation that has at least one."""
    formats, results = Formats.of(evaluation), evaluation.promises
    columns = (
        Column("Disagreement at most" if results[0].promise.relative_to else "Drop at most"),
        Column("Confidence"),
        Column("Preference", numeric=False, drop=4),
        Column(f"{formats.cost_unit}, reported"),
        Column(f"{evaluation.metric_name}, reported", drop=2),
        Column("Drop when tested", hint="mean drop on the choosing split"),
        Column("Difference, reported", hint="score minus that of the last expert on the reporting split, paired"),
        Column("p-value", drop=3),
        Column("Policies tested", drop=3),
    )
    note = (
        "Tested from the costliest policy to the cheapest until the first failure, each on the same samples, "
        "which no threshold was fitted on (Learn-then-Test). Over the draw of these samples, the true drop of the mean "
        "score of a promised policy exceeds the first column with a probability of at most 1 - confidence."
    )
    relative = results[0].promise.relative_to
    if relative:
        note += f" No label was used: a drop is disagreement with {relative}, and what it gets wrong counts as right."
    refused = [one.promise.reason for one in results if one.result is None]
    what = "disagreement" if relative else "drops"
    title = f"Promised {what} (choosing split, {results[0].promise.n_samples:,} samples)"
    return Table(title, columns, tuple(_row(one, formats) for one in results), note=" ".join((note, *refused)))


def _row(one: PromiseResult, formats: Formats) -> tuple[str, ...]:
    promise, result = one.promise, one.result
    # An allowed drop is a setting, not a measurement: it keeps all of its digits.
    head = (f"{formats.scale * promise.max_drop:g}", f"{100 * promise.confidence:g} %")
    if result is None or promise.row is None:
        return (*head, "none", "", "", "", "", "", str(promise.tried))
    return (
        *head,
        f"{promise.row.preference:.3f}",
        formats.cost_interval(result.cost),
        formats.score_interval(result.score),
        formats.difference(promise.drops[-1]),
        formats.difference_interval(result.score_difference),
        plain(promise.p_values[-1], 2),
        str(promise.tried),
    )
