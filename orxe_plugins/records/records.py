"""Records in memory: aligned arrays over N experts and M samples."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from orxe_plugins.cost.sharing import check_sharing, positions_of, routing_order
from orxe_plugins.errors import OrxeError, OrxeTypeError, check_known, check_type, shortened, unknown
from orxe_plugins.records.arrays import (
    ORDERS,
    check_details,
    check_order,
    checked_confidence,
    checked_costs,
    checked_ids,
    checked_names,
    checked_needs,
    checked_scores,
)
from orxe_plugins.util.arguments import check_count
from orxe_plugins.util.wording import plain

#: more experts than this are not all named in a ``repr``
_NAMED = 4


@dataclass(frozen=True, eq=False, repr=False)
class Records:
    """What N experts said of M samples. Make one by :meth:`from_arrays` or load a recorder's folder.

    Attributes:
        names: the experts, in routing order.
        cost: cost per sample of running each expert, float64 of shape (N,).
        shared_cost: what a sample pays beside that if the expert answers it: a backbone up to there,
            which exits share, float64 of shape (N,).
        needs: position of the expert whose answer each expert builds on, -1 for none; N integers.
        confidence: float32 of shape (N, M), in [0, 1]; NaN was replaced by 0.
        score: performance, higher is better, of shape (N, M): uint8 for 0/1 scores, else float64.
        sample_ids: array of M strings.
        cost_unit: unit of ``cost`` and ``shared_cost``.
        labels: what the data set says of each sample, (M,), where it is one number.
        predictions: the task's columns, each an array (N, M, ...); empty if none were kept.
        params: number of parameters of each expert, int64 of shape (N,), where known.
        skipped: samples that are not here because an expert could not answer: (id, reason).
        details: what else is known (data set, path, augmentation, fingerprints), as JSON values.
    """

    names: tuple[str, ...]
    cost: np.ndarray
    shared_cost: np.ndarray
    needs: tuple[int, ...]
    confidence: np.ndarray
    score: np.ndarray
    sample_ids: np.ndarray
    cost_unit: str = "GMACs"
    labels: np.ndarray | None = None
    predictions: Mapping[str, np.ndarray] = field(default_factory=dict)
    params: np.ndarray | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_arrays(
        cls,
        names: Sequence[str],
        cost: Any,
        confidence: Any,
        score: Any,
        sample_ids: Sequence[str] | None = None,
        pass_cost: Any = None,
        **more: Any,
    ) -> Records:
        """Records out of arrays, or lists, checked.

        >>> Records.from_arrays(["small", "large"], [1, 9], [[0.9, 0.1], [0.9, 0.8]], [[1, 0], [1, 1]])
        Records(2 samples, 2 experts: small, large; cost 1 to 9 GMACs)

        Args:
            names: N expert names, in routing order: cheapest first.
            cost: cost per sample of running each, (N,).
            confidence: (N, M), in [0, 1]; NaN counts as 0, with a warning.
            score: (N, M), higher is better, finite; None where there are no labels: then scores are relative to the
                last expert, by the classes or boxes among ``predictions``
                (:func:`~orxe_plugins.records.agreement.agreement_records`).
            sample_ids: M distinct names of the samples; their positions by default.
            pass_cost: what every sample pays that goes past an expert, whether or not it ran on it, and is
                answered by a later one, (N,): the piece of a shared backbone between two exits. The last
                expert's is never paid. Another way to give ``shared_cost``, of which it is the running sum.
            **more: the other attributes of :class:`Records`: ``shared_cost`` (N,), zeros by default; ``needs``,
                N names of needed experts, None is none; ``cost_unit``, ``labels`` and so on. ``order`` says what is
                done with experts that are not sorted by cost: "check" (the default) refuses them, "sort" sorts all
                that is given, "keep" leaves them as they are.

        Raises:
            OrxeError: shapes do not fit, a value is out of range, or the experts are not sorted by cost.
        """
        order = more.pop("order", "check")
        shared_cost, needs = more.pop("shared_cost", None), more.pop("needs", None)
        check_known("argument of Records.from_arrays", more, [one.name for one in fields(cls)][7:])
        check_type("order", order, str, "one of " + ", ".join(ORDERS))
        check_known("order", [order], ORDERS)
        experts = checked_names(names)
        conf = checked_confidence(confidence, experts)
        n, m = conf.shape
        own = checked_costs("cost", cost, n)
        shared = checked_costs("shared_cost", np.zeros(n) if shared_cost is None else shared_cost, n)
        if pass_cost is not None:
            if shared_cost is not None:
                raise OrxeError("pass_cost and shared_cost are two ways to say the same: give one of them")
            shared = np.cumsum(np.append(0.0, checked_costs("pass_cost", pass_cost, n)))[:n]
        needed = positions_of(experts, checked_needs(needs, experts))
        records = cls(
            names=experts,
            cost=own,
            shared_cost=shared,
            needs=needed,
            confidence=conf,
            score=checked_scores(np.zeros((n, m)) if score is None else score, (n, m)),
            sample_ids=checked_ids(sample_ids, m),
            **check_details(more, (n, m)),
        )
        if order == "sort":
            records = records.sorted_by_cost()
        check_sharing(records.names, records.shared_cost.tolist(), records.needs)
        if order == "check":
            check_order(experts, own, shared, needed)
        if score is None:
            from orxe_plugins.records.agreement import agreement_records  # it knows records

            return agreement_records(records)
        return records

    def __len__(self) -> int:
        return self.confidence.shape[1]

    def __repr__(self) -> str:
        names = self.names if self.n_experts <= _NAMED else (*self.names[: _NAMED - 1], "…", self.names[-1])
        costs = [plain(cost) for cost in (self.standalone_cost[0], self.standalone_cost[-1])]
        return (
            f"Records({len(self):,} samples, {self.n_experts} experts: {', '.join(names)}; "
            f"cost {' to '.join(dict.fromkeys(costs))} {self.cost_unit})"
        )

    @property
    def n_experts(self) -> int:
        """Number of experts N."""
        return len(self.names)

    @property
    def standalone_cost(self) -> np.ndarray:
        """Mean cost if one expert alone answers everything, of each expert, (N,)."""
        needed = np.array([0.0 if j < 0 else self.cost[j] for j in self.needs])
        return self.cost + self.shared_cost + needed

    @property
    def mean_score(self) -> np.ndarray:
        """Mean score of each expert on all samples, (N,)."""
        return self.score.mean(axis=1, dtype=np.float64)

    def samples(self, index: Any) -> Records:
        """The records of some samples.

        Args:
            index: integers or a bool mask over M samples.
        """
        return replace(
            self,
            confidence=self.confidence[:, index],
            score=self.score[:, index],
            sample_ids=self.sample_ids[index],
            labels=None if self.labels is None else self.labels[index],
            predictions={key: values[:, index] for key, values in self.predictions.items()},
        )

    def experts(self, names: Sequence[str | int]) -> Records:
        """The records of some experts, in the given order; those that they need have to be among them."""
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise OrxeTypeError(f"names is {shortened(names)}: expected several experts, such as [{shortened(names)}]")
        index = [self.index(name) for name in names]
        needed = [None if self.needs[i] < 0 else self.names[self.needs[i]] for i in index]
        return replace(
            self,
            names=tuple(self.names[i] for i in index),
            cost=self.cost[index],
            shared_cost=self.shared_cost[index],
            needs=positions_of([self.names[i] for i in index], needed),
            confidence=self.confidence[index],
            score=self.score[index],
            predictions={key: values[index] for key, values in self.predictions.items()},
            params=None if self.params is None else self.params[index],
        )

    def sorted_by_cost(self) -> Records:
        """The same experts, cheapest first; those of one cost keep their order."""
        return self.experts(routing_order(self.standalone_cost, self.shared_cost).tolist())

    def index(self, name: str | int) -> int:
        """Position of an expert that is given by name or position."""
        if isinstance(name, (int, np.integer)):
            if not 0 <= name < self.n_experts:
                raise OrxeError(f"expert {name} of {self.n_experts}: expected 0 to {self.n_experts - 1}")
            return int(name)
        if not isinstance(name, str):
            raise OrxeTypeError(f"expert {shortened(name)}: expected its name or its position")
        if name not in self.names:
            raise unknown("expert", name, self.names)
        return self.names.index(name)

    def split(self, fraction: float, seed: int = 0) -> tuple[Records, Records]:
        """Two parts at random: the first holds ``fraction`` of the samples.

        The order of the samples does not matter, only their ids: the same samples fall into the
        same parts in every folder of records.
        """
        first, second = split_positions(self.sample_ids, fraction, seed)
        return self.samples(first), self.samples(second)


def split_positions(sample_ids: Any, fraction: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Which of M samples fall into the two parts of :meth:`Records.split`: rising positions, int64."""
    if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
        raise OrxeError(f"fraction is {shortened(fraction)}: expected a number between 0 and 1")
    check_count("seed", seed)
    by_id = np.argsort(np.asarray(sample_ids).astype(str), kind="stable")
    shuffled = by_id[np.random.default_rng(seed).permutation(len(by_id))]
    cut = round(fraction * len(shuffled))
    return np.sort(shuffled[:cut]), np.sort(shuffled[cut:])
