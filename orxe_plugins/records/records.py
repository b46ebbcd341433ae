"""Records in memory: aligned arrays over N experts and M samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from orxe_plugins.cost.sharing import check_sharing, positions_of, routing_order
from orxe_plugins.errors import OrxeError, unknown

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
        """Records out of arrays, checked.

        Args:
            names: N expert names, in routing order: cheapest first.
            cost: cost per sample of running each, (N,).
            confidence: (N, M), in [0, 1]; NaN counts as 0.
            score: (N, M), higher is better, finite.
            sample_ids: M distinct names of the samples; their positions by default.
            pass_cost: what every sample pays that goes past an expert, whether or not it ran on it, and is
                answered by a later one, (N,): the piece of a shared backbone between two exits. The last
                expert's is never paid. Another way to give ``shared_cost``, of which it is the running sum.
            **more: the other attributes of :class:`Records`: ``shared_cost`` (N,), zeros by default; ``needs``,
                N names of needed experts, None is none; ``cost_unit``, ``labels`` and so on.

        Raises:
            OrxeError: shapes do not fit, or a value is out of range.
        """
        experts = tuple(str(name) for name in names)
        if not experts or len(set(experts)) != len(experts):
            raise OrxeError(f"expert names {list(experts)}: expected at least one, and no name twice")
        conf = np.array(confidence, dtype=np.float32, ndmin=2)
        n, m = conf.shape if conf.ndim == 2 else (-1, -1)
        if n != len(experts):
            raise OrxeError(f"confidence has shape {conf.shape}: expected (N, M) with N = {len(experts)} experts")
        np.nan_to_num(conf, copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
        if m and not (conf.min() >= 0 and conf.max() <= 1):
            raise OrxeError(f"confidence lies in [{conf.min():g}, {conf.max():g}]: expected values in [0, 1]")
        ids = np.array([str(i) for i in range(m)] if sample_ids is None else list(sample_ids), dtype=object)
        if ids.shape != (m,) or len(set(ids.tolist())) != m:
            raise OrxeError(f"sample_ids has {len(ids)} names, {len(set(ids.tolist()))} of them distinct: expected {m}")
        shared_cost, needs = more.pop("shared_cost", None), more.pop("needs", None)
        shared = _costs("shared_cost", np.zeros(n) if shared_cost is None else shared_cost, n)
        if pass_cost is not None:
            if shared_cost is not None:
                raise OrxeError("pass_cost and shared_cost are two ways to say the same: give one of them")
            shared = np.cumsum(np.append(0.0, _costs("pass_cost", pass_cost, n)))[:n]
        needed = positions_of(experts, [None] * n if needs is None else needs)
        check_sharing(experts, shared.tolist(), needed)
        return cls(
            names=experts,
            cost=_costs("cost", cost, n),
            shared_cost=shared,
            needs=needed,
            confidence=conf,
            score=_scores(score, (n, m)),
            sample_ids=ids,
            **more,
        )

    def __len__(self) -> int:
        return self.confidence.shape[1]

    def __repr__(self) -> str:
        names = self.names if self.n_experts <= _NAMED else (*self.names[: _NAMED - 1], "…", self.names[-1])
        costs = [f"{cost:.4g}" for cost in (self.standalone_cost[0], self.standalone_cost[-1])]
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
    if not 0 < fraction < 1:
        raise OrxeError(f"fraction is {fraction!r}: expected a number between 0 and 1")
    by_id = np.argsort(np.asarray(sample_ids).astype(str), kind="stable")
    shuffled = by_id[np.random.default_rng(seed).permutation(len(by_id))]
    cut = round(fraction * len(shuffled))
    return np.sort(shuffled[:cut]), np.sort(shuffled[cut:])


def _costs(name: str, values: Any, n: int) -> np.ndarray:
    costs = np.array(values, dtype=np.float64)
    if costs.shape != (n,) or not np.isfinite(costs).all() or (costs < 0).any():
        raise OrxeError(f"{name} is {values!r}: expected {n} finite numbers of at least 0, one for each expert")
    return costs


def _scores(values: Any, shape: tuple[int, int]) -> np.ndarray:
    scores = np.array(values, ndmin=2)
    if scores.shape != shape:
        raise OrxeError(f"score has shape {scores.shape}: expected {shape}, as confidence has")
    if scores.dtype in (np.bool_, np.uint8) and (not scores.size or scores.max() <= 1):
        return scores.astype(np.uint8)
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise OrxeError("score holds NaN or infinite values: leave such samples out")
    return scores
