"""What the chosen policy and every single expert take in time on one machine, beside each other.

The figures are made of measured times of the experts and of the recorded routes of the reporting split; routing itself
is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orxe_plugins.cost.time_cost import TimeCost
from orxe_plugins.evaluation.results import Evaluation, ExpertResult, Verdict
from orxe_plugins.policies.policy import Policy
from orxe_plugins.records.records import Records
from orxe_plugins.search.batched import exits_of, policy_ms
from orxe_plugins.search.replay import Outcome, replay
from orxe_plugins.util.wording import short_names, significant

#: percentiles of the time that one sample takes by itself
TAILS = (50, 95, 99)
#: at least so many draws of times make a tail
_DRAWS = 50_000


@dataclass(frozen=True)
class Timed:
    """How long one way of answering takes.

    Attributes:
        ms: mean milliseconds per sample, as the :class:`~orxe_plugins.cost.time_cost.TimeCost` asks.
        tails: milliseconds within which 50, 95 and 99 % of the samples are answered that come one by one; empty where
            that is not known.
        gmacs: mean GMACs per sample; None where they are not known.
    """

    ms: float
    tails: tuple[float, ...] = ()
    gmacs: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"ms": self.ms, "tails": dict(zip(map(str, TAILS), self.tails, strict=False)), "gmacs": self.gmacs}


@dataclass(frozen=True)
class TimeResult:
    """The chosen policy and the single experts on one machine.

    Attributes:
        words: what the milliseconds are.
        where: machine, precision and backend, in words.
        chosen: the policy that the report is about.
        experts: each expert alone, in routing order.
        fastest: position of the fastest single expert that scores no less than the policy on the reporting split; None
            if every expert scores less.
    """

    words: str
    where: str
    chosen: Timed
    experts: tuple[Timed, ...]
    fastest: int | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "words": self.words,
            "where": self.where,
            "chosen": self.chosen.to_dict(),
            "experts": [each.to_dict() for each in self.experts],
            "fastest": self.fastest,
        }


def with_times(evaluation: Evaluation, records: Records, times: TimeCost, counted: Records | None = None) -> Evaluation:
    """The evaluation with what its policy and its experts take in time, and a verdict that takes it into account.

    Args:
        evaluation: of ``records``.
        records: the reporting split.
        times: measured times of its experts.
        counted: the same records with costs in GMACs, where ``records`` have others.

    Raises:
        OrxeError: an expert has no measured time.
    """
    alone = [Policy.only(i, records.n_experts) for i in range(records.n_experts)]
    chosen, *experts = (timed(policy, records, times, counted) for policy in (evaluation.chosen.policy, *alone))
    result = TimeResult(times.words, where(times), chosen, tuple(experts), _fastest(evaluation, experts))
    return replace(evaluation, times=result, verdict=_judged(evaluation, result))


def timed(policy: Policy, records: Records, times: TimeCost, counted: Records | None = None) -> Timed:
    """What a policy takes in time; see :func:`with_times`."""
    if counted is None:
        counted = records if records.cost_unit == "GMACs" else None
    gmacs = None if counted is None else replay(counted, policy).cost
    return Timed(policy_ms(records, policy, times), tails_of(replay(records, policy), times), gmacs)


def tails_of(outcome: Outcome, times: TimeCost) -> tuple[float, ...]:
    """Percentiles of the time that single samples take, by their routes and their experts' times of one sample.

    The times of several experts that a sample goes through are drawn apart from each other. Nothing is said of a
    policy that goes through more than one part of a shared backbone, nor where single samples were not timed.
    """
    single, names = times.table.single, outcome.records.names
    ran = outcome.ran
    used = [names[i] for i in range(len(names)) if ran[:, i].any()]
    if any(name not in single for name in used) or len(set(used) & set(exits_of(outcome.records))) > 1:
        return ()
    rng = np.random.default_rng(0)
    rows = np.tile(np.arange(len(ran)), math.ceil(_DRAWS / len(ran)))
    total = np.zeros(len(rows))
    for name in used:
        own = np.asarray(single[name])[rng.integers(0, len(single[name]), len(rows))]
        total += np.where(ran[rows, names.index(name)], own, 0.0)
    return tuple(float(value) for value in np.percentile(total, TAILS))


def where(times: TimeCost) -> str:
    """Machine, precision and backend of measured times: "NVIDIA H100, fp16, eager"."""
    details = times.table.details
    threads = details.get("torch_threads")
    cores = (f"{threads} threads",) if threads and details.get("device", "cpu") == "cpu" else ()
    parts = (details.get("machine", "the machine that measured"), *cores, details.get("dtype"), details.get("backend"))
    return ", ".join(str(part) for part in parts if part)


def _fastest(evaluation: Evaluation, experts: Sequence[Timed]) -> int | None:
    """The fastest expert alone that scores no less than the chosen policy; None if there is none."""
    least = evaluation.chosen.result.score.value
    enough = [expert.index for expert in evaluation.experts if expert.result.score.value >= least - 1e-12]
    return min(enough, key=lambda i: experts[i].ms, default=None)


def _judged(evaluation: Evaluation, result: TimeResult) -> Verdict:
    """The verdict: in its first sentence, where one expert alone is at least as fast and as good as the cascade."""
    verdict = evaluation.verdict
    if len(evaluation.chosen.policy.reachable) == 1:
        return verdict
    names = short_names(evaluation.names)
    rival = result.fastest
    on = f"({result.words}; {result.where})"
    ours = significant(result.chosen.ms)
    if rival is None:
        best: ExpertResult = max(evaluation.experts, key=lambda each: each.result.score.value)
        text = (
            f"In time, the policy takes {ours} {on}; no expert alone scores as much: {names[best.index]}, which comes "
            f"nearest, takes {significant(result.experts[best.index].ms)}."
        )
        return replace(verdict, more=(text, *verdict.more))
    theirs = significant(result.experts[rival].ms)
    score = f"{evaluation.metric_name} no lower than the policy's"
    if result.experts[rival].ms <= result.chosen.ms:
        text = (
            f"In time no cascade pays here: {names[rival]} alone takes {theirs}, with {score}, where the policy takes "
            f"{ours} {on}."
        )
        return Verdict("expert", text, verdict.certainty, (verdict.sentence, *verdict.more))
    text = (
        f"In time, the policy takes {ours} {on}; the fastest expert alone with a {score}, {names[rival]}, takes "
        f"{theirs}."
    )
    return replace(verdict, more=(text, *verdict.more))
