"""Promises: policies whose score drops by at most so much, with at least that probability.

Learn-then-Test (Angelopoulos et al., 2021) with fixed-sequence testing. The policies of a table are put into
an order that only the fitting split decides, from the costliest to the cheapest. Each is tested at the full level
on a choosing split that no threshold was fitted on, and the first failure ends the tests. Whichever policies
are bad, an error needs the first bad one of the sequence to pass, which happens with a probability of at most
1 - confidence: no further correction for the number of policies is needed, and all that passed hold together.

The last expert alone drops by 0 by definition. It needs no test and is not counted as a promise: if it is
all that is left, no policy can promise anything, and the error says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.row import PolicyRow, Promise, pareto_rows
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.betting_test import NAME, p_value
from orxe_plugins.search.controls import Controls
from orxe_plugins.search.replay import replay
from orxe_plugins.util.wording import plain


def promise(
    table: PolicyTable,
    records: Records,
    max_drop: float,
    confidence: float = 0.95,
    *,
    controls: Controls | None = None,
    seed: int = 0,
) -> Promise:
    """The policies whose mean score is at most ``max_drop`` below the last expert's, with so much confidence.

    Over the draw of the choosing split, a promised policy drops by more than ``max_drop`` on new samples of
    the same kind with a probability of at most ``1 - confidence``, whatever the distribution is.

    Args:
        table: policies, fitted on other samples.
        records: the choosing split: samples that had no part in the fit, drawn from where later ones will come.
        max_drop: allowed drop of the mean per-sample score, such as 0.005 for half a point.
        confidence: between 0 and 1.
        controls: unlabelled samples beside the choosing split, by which fewer labels promise the same.
        seed: of the order in which the test sees the samples.

    Raises:
        OrxeError: no policy can promise this with so many samples, scores lie outside of [0, 1], or an
            argument is out of range.
    """
    found = _tested(table, records, Promise(max_drop, confidence, len(records), 0), controls, seed)
    if found.row is None:
        raise OrxeError(found.reason)
    return found


def with_promises(
    table: PolicyTable,
    records: Records,
    wanted: Iterable[tuple[float, float]],
    *,
    controls: Controls | None = None,
    seed: int = 0,
) -> PolicyTable:
    """The table with the promise that was tested for each ``(max_drop, confidence)``.

    A promise that no policy can give is kept with its reason. Each promise holds with its own confidence, not all of
    them together.

    Args:
        table, records, controls, seed: see :func:`promise`.
        wanted: pairs of ``max_drop`` and ``confidence``.

    Raises:
        OrxeError: scores lie outside of [0, 1], or an argument is out of range.
    """
    asked = [Promise(drop, sure, len(records), 0) for drop, sure in wanted]
    return replace(table, promises=tuple(_tested(table, records, each, controls, seed) for each in asked))


def fixed_sequence(table: PolicyTable) -> tuple[PolicyRow, ...]:
    """The policies in the order of their tests, from the costliest to the cheapest on the fitting split.

    Those that cost as much as the last expert alone, and those that another one beats, are left out.
    """
    last = table.n_experts - 1
    rows = {
        row.policy: row
        for row in table.offered
        if row.policy.reachable != (last,) and not row.cost >= table.reference_cost
    }
    return pareto_rows(rows.values())[::-1]


def _tested(table: PolicyTable, records: Records, wanted: Promise, controls: Controls | None, seed: int) -> Promise:
    max_drop, confidence = wanted.max_drop, wanted.confidence
    check_promise(table, records, max_drop, confidence)
    level = 1 - confidence
    order = np.random.default_rng(seed).permutation(len(records))
    sequence = fixed_sequence(table)
    passed: list[tuple[PolicyRow, float, float]] = []
    tried = 0
    for row in sequence:
        drop, greatest = _drops(records, row), 1.0
        corrected: np.ndarray = drop
        if controls is not None:
            corrected, greatest = controls.corrected(row.policy, records, drop)
        p = p_value(corrected[order], max_drop, level, greatest)
        tried += 1
        if p > level:
            break
        passed.append((row, float(drop.mean()), p))
    rows, observed, p_values = zip(*passed, strict=True) if passed else ((), (), ())
    test = NAME if controls is None else f"{NAME}, with control variates"
    relative_to = str(records.details.get("relative_to", ""))
    found = Promise(max_drop, confidence, len(records), tried, rows, observed, p_values, test, relative_to=relative_to)
    return found if passed else replace(found, reason=_reason(found, table, records, sequence))


def _drops(records: Records, row: PolicyRow) -> np.ndarray:
    """Score of the last expert minus that of the policy, per sample, (M,): int8 for 0/1 scores."""
    kind = np.int8 if records.score.dtype == np.uint8 else np.float64
    expert = replay(records, row.policy).expert
    return records.score[-1].astype(kind) - records.score[expert, np.arange(len(records))].astype(kind)


def check_promise(table: PolicyTable, records: Records, max_drop: Any, confidence: Any) -> None:
    """Refuse what no promise can be tested with.

    Raises:
        OrxeError: an argument is out of range, there is no sample, or scores lie outside of [0, 1].
    """
    table.check_n_experts(records.n_experts)
    for name, value in (("max_drop", max_drop), ("confidence", confidence)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise OrxeError(f"{name} is {value!r}: expected a number between 0 and 1")
    if not len(records):
        raise OrxeError("the choosing split holds no sample: there is nothing to test a promise on")
    if records.score.min() < 0 or records.score.max() > 1:
        raise OrxeError(
            f"scores lie in [{records.score.min():g}, {records.score.max():g}]: a drop can only be promised "
            "for scores in [0, 1], as otherwise one sample could outweigh all others"
        )


def _reason(found: Promise, table: PolicyTable, records: Records, sequence: Sequence[PolicyRow]) -> str:
    head = f"no policy can promise {found.text} with {found.n_samples:,} samples: "
    tail = (
        ". The last expert alone drops by 0 by definition"
        + ("" if math.isnan(table.reference_cost) else f", at {plain(table.reference_cost)} {table.cost_unit}")
        + ". Record more samples, raise data.split.choose, or allow a larger max_drop"
    )
    if not sequence:
        return head + "no fitted policy is cheaper than the last expert alone" + tail
    first = _drops(records, sequence[0])
    text = f"the most cautious one, at {plain(sequence[0].cost)} {table.cost_unit}, drops by {first.mean():.4f} on them"
    needed = min(_needed(_drops(records, row), found) for row in sequence)
    if math.isinf(needed):
        return head + text + ", and no other one drops by less than is allowed" + tail
    return head + text + f"; going by these samples, about {needed:,.0f} would be needed" + tail


def _needed(drop: np.ndarray, wanted: Promise) -> float:
    """About how many samples a policy with such drops would need, as a gambler's capital grows; infinite if no number
    is enough."""
    slack, level = wanted.max_drop - drop.mean(), 1 - wanted.confidence
    if slack <= 0:
        return math.inf
    fewest = 1  # where no sample differs
    while p_value(np.zeros(fewest), wanted.max_drop, level) > level:
        fewest += 1 + fewest // 20
    by_spread = 2 * math.log(1 / level) * drop.var() / slack**2
    # So many samples as there are were not enough, whatever the approximation says.
    return float(f"{max(fewest, by_spread, len(drop) + 1):.2g}")
