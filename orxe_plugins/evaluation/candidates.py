"""The policies that compete for what a report recommends, and the choice among them by the fitting split alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import ROUNDING, PolicyRow
from orxe_plugins.policies.safety import Option, safe_choice
from orxe_plugins.policies.selection import Selection
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.replay import replay
from orxe_plugins.search.scores import SearchScores
from orxe_plugins.util.hull import upper_hull
from orxe_plugins.util.pareto import pareto_front

#: so much may be lost on the fitting split where losing nothing saves next to nothing
ALLOWED_DROP = 0.01
#: a smaller share of the cost is next to nothing
_WORTH_IT = 0.1
#: an expert that answers so large a share of the samples is the one that is asked in practice
NEARLY_ALL = 0.99


@dataclass(frozen=True)
class Candidate:
    """One way to answer, with its figures on the fitting split.

    Attributes:
        kind: "fitted", "pareto", "compact" or "promised" row of the table, or "expert": one expert alone.
        preference: that of the row; NaN for an expert alone.
        policy: its thresholds.
        cost, score: mean cost and mean per-sample score there; of the scores that the table was searched on.
        error: standard error of the last expert's score less this one's; 0 where it is not known.
    """

    kind: str
    preference: float
    policy: Policy
    cost: float
    score: float
    error: float = 0.0


@dataclass(frozen=True)
class Chosen:
    """What was chosen.

    Attributes:
        candidate: what was chosen.
        reason: why, to follow "chosen on the fitting split: ".
        nearest: where nothing that costs less than the best expert alone will do: the best of it, if there is any.
        beaten_by: what costs no more and scores no less than what was asked for, with one of them better.
        asked: whether a user asked for it.
        higher: what scores most of all that costs no more than the last expert, if that is clearly more.
    """

    candidate: Candidate
    reason: str
    nearest: Candidate | None = None
    beaten_by: Candidate | None = None
    asked: bool = False
    higher: Candidate | None = None


def candidates_of(table: PolicyTable, fitted_on: Records | None) -> tuple[Candidate, ...]:
    """All rows of a table and every single expert, each policy once.

    Without the records of the fitting split, only the last expert's figures are known, from the table.
    """
    n = table.n_experts
    kinds = {"fitted": table.rows, "pareto": table.pareto, "compact": table.compact}
    found: dict[Policy, Candidate] = {}
    for kind, rows in kinds.items():
        for row in rows:
            one = Candidate(kind, row.preference, row.policy, row.cost, row.score, row.drop_error)
            found.setdefault(row.policy, one)
    if fitted_on is not None:
        # Figures are compared, so that all must be of the scores that the table was searched on.
        searched = SearchScores.of_table(table, fitted_on)
        outcomes = [replay(searched.records, Policy.only(i, n)) for i in range(n)]
        for row in searched.with_errors(PolicyRow(0.0, each.policy, each.cost, each.score) for each in outcomes):
            alone = Candidate("expert", math.nan, row.policy, row.cost, row.score, row.drop_error)
            found.setdefault(row.policy, alone)
    elif not math.isnan(table.reference_cost + table.reference_score):
        last = Policy.never(n)
        found.setdefault(last, Candidate("expert", math.nan, last, table.reference_cost, table.reference_score))
    return tuple(found.values())


def negligible_drop(table: PolicyTable) -> float:
    """What counts as losing nothing: less than one answer of the fitting split, where scores are expected ones.

    Recorded right answers are lost one by one. Expected ones are lost by parts of an answer, and a policy that loses
    none of them at all would have to ask the last expert almost always.
    """
    if table.details.get("scores", {}).get("kind", "raw") == "raw" or not table.n_samples:
        return 0.0
    return min(ALLOWED_DROP, 1 / table.n_samples)


def choose(candidates: Sequence[Candidate], fitted_on: Records | None, negligible: float = 0.0) -> Chosen:
    """The cheapest candidate that loses nothing against the best expert alone, by the fitting split's figures.

    How far it goes to the safe side of that: :func:`orxe_plugins.policies.safety.safe_choice`. ``negligible`` is a
    drop that counts as nothing, as a share of the scores' range.

    None that costs more than the last expert takes part, nor one that another candidate beats in cost and score.
    Where losing nothing saves little or nothing, a little may be lost for what rises highest above random mixing of
    single experts; where nothing does, the best expert alone is chosen. A policy that asks one expert for nearly all
    samples gives way to that expert alone.
    """
    last = next((each for each in candidates if each.policy.enabled == (each.policy.n_experts - 1,)), None)
    if last is None:
        best = max(candidates, key=lambda each: (each.score, -each.cost))
        return Chosen(best, "the one with the best score there, as the last expert's is not known")
    front = _unbeaten([each for each in candidates if each.cost <= last.cost + ROUNDING])
    alone = [each for each in candidates if len(each.policy.reachable) == 1 and each.cost <= last.cost + ROUNDING]
    base = max(alone, key=lambda each: (each.score, -each.cost))
    against = "the last expert" if base.policy == last.policy else "the best expert alone"
    found = _safe(front, base, negligible * _scale(candidates) + ROUNDING)
    points = f"{100 * negligible:.2g}"
    most = f"{points} point{'s' if points != '1' else ''}"
    loses = f"is expected to lose at most {most}" if negligible else "loses nothing"
    reason = f"the cheapest one that {loses} against {against} there, on the safe side"
    if found.cost > (1 - _WORTH_IT) * base.cost:
        traded = _traded(front, base, alone)
        if traded is not None and traded.score >= base.score - ALLOWED_DROP * _scale(candidates) - ROUNDING:
            found, reason = (
                traded,
                (
                    "the one highest above random mixing of single experts, of those that lose at most "
                    f"{_points(ALLOWED_DROP)} there, as losing nothing saves less than {100 * _WORTH_IT:.0f} %"
                ),
            )
        elif found.cost >= base.cost:
            cheaper = [each for each in front if each.cost < base.cost]
            nearest = traded or max(cheaper, key=lambda each: each.score, default=None)
            alone_text = " alone" if base is last else ""
            why = "all that costs less loses too much there" if cheaper else "nothing there costs less"
            reason = f"{against}{alone_text}, as {why}"
            return Chosen(found, reason, nearest, higher=_higher(front, found, candidates))
    return _alone(Chosen(found, reason, higher=_higher(front, found, candidates)), candidates, fitted_on)


def _safe(front: Sequence[Candidate], base: Candidate, nothing: float) -> Candidate:
    """The cheapest that loses at most ``nothing`` against the best expert, or a safer one where that costs little."""
    keeps = [each for each in front if each.cost <= base.cost + ROUNDING]
    options = [Option(each.cost / (base.cost or 1.0), base.score - each.score, each.error) for each in keeps]
    taken = safe_choice(options, nothing)
    assert taken is not None  # the best expert itself, or what beats it
    return keeps[taken]


def _higher(front: Sequence[Candidate], found: Candidate, candidates: Sequence[Candidate]) -> Candidate | None:
    return front[-1] if front[-1].score >= found.score + ALLOWED_DROP * _scale(candidates) else None


def choose_asked(table: PolicyTable, candidates: Sequence[Candidate], asked: Selection) -> Chosen:
    """The row that is asked for, and what beats it.

    Raises:
        OrxeError: no row fits.
    """
    row = table.choose(asked)
    reasons = {
        "preference": f"the one of preference {row.preference:g}",
        "budget": f"the one with the best score that costs at most {asked.budget} {table.cost_unit} there",
        "target": f"the cheapest one that scores at least {asked.target} there",
        "max_drop": f"the cheapest one that loses {_points(asked.max_drop)} against the last expert there",
    }
    known = {each.policy: each.kind for each in candidates}
    candidate = Candidate(known.get(row.policy, "promised"), row.preference, row.policy, row.cost, row.score)
    better = [
        each
        for each in candidates
        if each.cost <= row.cost + ROUNDING
        and each.score >= row.score - ROUNDING
        and (each.cost < row.cost - ROUNDING or each.score > row.score + ROUNDING)
    ]
    beaten_by = max(better, key=lambda each: (each.score, -each.cost), default=None)
    return Chosen(candidate, reasons[asked.goal], beaten_by=beaten_by, asked=True)


def mixture(cost: Sequence[float], score: Sequence[float], at: float) -> tuple[tuple[int, float], ...]:
    """Which single experts random mixing takes to reach the best score at a mean cost: (position, share) of each.

    Args:
        cost, score: of each of N experts alone.
        at: the mean cost; what costs more than the best expert is not mixed, but answered by it.
    """
    costs, scores = np.asarray(cost, dtype=np.float64), np.asarray(score, dtype=np.float64)
    hull = upper_hull(costs, scores)
    right = int(np.searchsorted(costs[hull], at, side="right"))
    if right in (0, len(hull)):
        return ((int(hull[min(right, len(hull) - 1)]), 1.0),)
    a, b = int(hull[right - 1]), int(hull[right])
    share = float((at - costs[a]) / (costs[b] - costs[a]))
    return tuple((i, part) for i, part in ((a, 1 - share), (b, share)) if part > 0)


def _unbeaten(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that no other one beats, cheapest first."""
    front = pareto_front([each.cost for each in candidates], [each.score for each in candidates])
    return [candidates[k] for k in front]


def _traded(front: Sequence[Candidate], base: Candidate, alone: Sequence[Candidate]) -> Candidate | None:
    """Of all that costs less than the best expert, what is highest above random mixing; None if nothing is above it."""
    cost, score = [each.cost for each in alone], [each.score for each in alone]
    heights = {
        each: each.score - sum(share * score[i] for i, share in mixture(cost, score, each.cost))
        for each in front
        if each.cost < base.cost
    }
    best = max(heights, key=lambda each: heights[each], default=None)
    return best if best is not None and heights[best] > ROUNDING else None


def _scale(candidates: Sequence[Candidate]) -> float:
    """What stands for 1 in scores: their range, where they do not live in [0, 1]."""
    scores = [each.score for each in candidates]
    return 1.0 if min(scores) >= 0 and max(scores) <= 1 else max(scores) - min(scores)


def _alone(chosen: Chosen, candidates: Sequence[Candidate], fitted_on: Records | None) -> Chosen:
    """The one expert that is asked in practice in place of the policy, where there is one."""
    if fitted_on is None or len(chosen.candidate.policy.reachable) == 1:
        return chosen
    share = replay(fitted_on, chosen.candidate.policy).exit_share
    asked = int(share.argmax())
    if share[asked] < NEARLY_ALL:
        return chosen
    policy = Policy.only(asked, len(share))
    alone = next(each for each in candidates if each.policy == policy)
    reason = f"{chosen.reason} asks this expert for {100 * share[asked]:.1f} % of the samples"
    return replace(chosen, candidate=alone, reason=reason)


def _points(drop: float | None) -> str:
    return f"at most {100 * drop:g} points" if drop else "nothing"
