"""Savers: which cheap expert to put before a given base model (TinySaver, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.records.records import Records
from orxe_plugins.search.engine.grid import midpoint

#: the allowed drops of TinySaver's Table 1
DROPS = (0.01, 0.005, 0.001, 0.0)


@dataclass(frozen=True)
class SaverRow:
    """How well one saver goes with a base model.

    Attributes:
        saver, base: names of the experts.
        r_match: largest exit ratio at which the saver is at least as good as the base on the samples
            that exit (Eq. 6); 0 if there is none.
        delta_c: saver cost / base cost - r_match (Eq. 10); below 0, the saver saves more than it costs.
        threshold: exit threshold that gives ``r_match``; None if there is none.
        saver_cost, base_cost: cost per sample of each alone.
        saver_score, base_score: mean score of each alone.
    """

    saver: str
    base: str
    r_match: float
    delta_c: float
    threshold: float | None
    saver_cost: float
    base_cost: float
    saver_score: float
    base_score: float


@dataclass(frozen=True, eq=False)
class SaverCurves:
    """Scores on the samples that exit, against how many exit (TinySaver Fig. 3 and 6, ORXE Fig. E2).

    Attributes:
        exit_ratio: rising, (K,); only cuts between different confidences are there.
        saver_score, base_score: mean score of each on the samples that exit, (K,).
        threshold: exit threshold of each point, (K,).
        crossing: the largest exit ratio at which the saver is at least as good; 0 if none.
        crossing_score: mean score of both at the crossing; NaN if there is none.
    """

    exit_ratio: np.ndarray
    saver_score: np.ndarray
    base_score: np.ndarray
    threshold: np.ndarray
    crossing: float
    crossing_score: float


@dataclass(frozen=True)
class SaverTable:
    """The columns of TinySaver's Table 1 for one pair.

    Attributes:
        saver, base, saver_cost, base_cost, saver_score, base_score: each alone.
        drops: allowed drops of the score below the base's.
        needed_cost: least mean cost at each drop, over all thresholds. None (the paper's "-") where
            the saver alone keeps within the drop, so that no base model is needed.
        best_score: highest score over all thresholds.
        best_cost: least cost that reaches it.
    """

    saver: str
    base: str
    saver_cost: float
    base_cost: float
    saver_score: float
    base_score: float
    drops: tuple[float, ...]
    needed_cost: tuple[float | None, ...]
    best_score: float
    best_cost: float

    def change(self, cost: float) -> float:
        """A cost relative to the base alone: -0.3 saves 30 %."""
        return cost / self.base_cost - 1


def select_saver(records: Records, base: str | int) -> list[SaverRow]:
    """Rank all experts that are cheaper than ``base`` as its saver, by Delta C.

    Args:
        records: of the fitting split, preferably recorded with training-time augmentation.
        base: name or position of the base model.

    Returns:
        One row per candidate, the best (least Delta C) first.

    Raises:
        OrxeError: there is no such expert, or none is cheaper.
    """
    return select_savers(records, [base]).popitem()[1]


def select_savers(records: Records, bases: Iterable[str | int]) -> dict[str, list[SaverRow]]:
    """:func:`select_saver` for several base models; each saver's confidences are sorted once."""
    _check_samples(records)
    costs = records.standalone_cost
    wanted = [records.index(base) for base in bases]
    ranked: dict[str, list[SaverRow]] = {records.names[base]: [] for base in wanted}
    for base in wanted:
        if not (costs < costs[base]).any():
            raise OrxeError(f"no expert is cheaper than {records.names[base]!r}: add a cheaper one to the records")
    for saver in range(records.n_experts):
        costlier = [base for base in wanted if costs[saver] < costs[base]]
        if costlier:
            exits = _Exits(records, saver)
            for base in costlier:
                ranked[records.names[base]].append(exits.row(base))
    return {name: sorted(rows, key=lambda row: (row.delta_c, row.saver_cost)) for name, rows in ranked.items()}


def saver_curves(records: Records, saver: str | int, base: str | int, points: int = 1000) -> SaverCurves:
    """Scores of a saver and its base on the samples that exit, for every exit ratio.

    Args:
        points: about how many points of the curves to give; the crossing is exact anyway.
    """
    _check_samples(records)
    exits = _Exits(records, records.index(saver))
    base_index = records.index(base)
    saver_sum, base_sum = exits.sums(exits.saver), exits.sums(base_index)
    row = exits.row(base_index)
    pick = np.unique(np.linspace(0, len(exits.counts) - 1, min(points, len(exits.counts))).round().astype(int))
    at = np.searchsorted(exits.counts, round(row.r_match * len(records)))
    return SaverCurves(
        exit_ratio=exits.counts[pick] / len(records),
        saver_score=saver_sum[pick] / exits.counts[pick],
        base_score=base_sum[pick] / exits.counts[pick],
        threshold=np.array([exits.threshold(k) for k in pick]),
        crossing=row.r_match,
        crossing_score=float(saver_sum[at] / exits.counts[at]) if row.r_match else float("nan"),
    )


def saver_table(records: Records, saver: str | int, base: str | int, drops: Sequence[float] = DROPS) -> SaverTable:
    """TinySaver's Table 1 for one pair: exact, over all thresholds.

    The saver runs on every sample, the base on those that do not exit (Eq. 1). "No sample exits" is
    one of the thresholds: it scores as the base does and costs both.

    Args:
        records: preferably of the reporting split, with the pair chosen on the fitting split.
    """
    _check_samples(records)
    m = len(records)
    exits = _Exits(records, records.index(saver))
    base_index = records.index(base)
    base_total = float(records.score[base_index].sum(dtype=np.float64))
    counts = np.concatenate([[0], exits.counts])
    gained = np.concatenate([[0.0], exits.sums(exits.saver) - exits.sums(base_index)])
    costs = records.standalone_cost
    cost = costs[exits.saver] + (1 - counts / m) * costs[base_index]
    slack = 1e-9 * max(1.0, abs(base_total))
    needed: list[float | None] = []
    for drop in drops:
        enough = gained >= -drop * m - slack
        needed.append(None if enough[-1] else float(cost[enough].min()))
    best = gained >= gained.max() - slack
    return SaverTable(
        saver=records.names[exits.saver],
        base=records.names[base_index],
        saver_cost=float(costs[exits.saver]),
        base_cost=float(costs[base_index]),
        saver_score=float(records.mean_score[exits.saver]),
        base_score=base_total / m,
        drops=tuple(drops),
        needed_cost=tuple(needed),
        best_score=float(base_total + gained.max()) / m,
        best_cost=float(cost[best].min()),
    )


class _Exits:
    """All exit sets of one saver: its confidences sorted once, cut only where they differ."""

    def __init__(self, records: Records, saver: int) -> None:
        self.records = records
        self.saver = saver
        self.order = np.argsort(-records.confidence[saver], kind="stable")
        self.sorted = records.confidence[saver][self.order]  # falling
        ends = np.append(self.sorted[1:] != self.sorted[:-1], True)
        #: how many samples exit at each cut, rising, (K,); the last one lets all exit
        self.counts = np.flatnonzero(ends) + 1

    def sums(self, expert: int) -> np.ndarray:
        """Sum of an expert's scores over the samples that exit at each cut, (K,)."""
        score = self.records.score[expert][self.order]
        total = np.cumsum(score, dtype=np.int64 if score.dtype == np.uint8 else np.float64)
        return total[self.counts - 1].astype(np.float64)

    def threshold(self, cut: int) -> float:
        """The exit threshold of a cut."""
        count = int(self.counts[cut])
        return midpoint(self.sorted[count], self.sorted[count - 1]) if count < len(self.sorted) else 0.0

    def row(self, base: int) -> SaverRow:
        """How well the saver goes with ``base`` (Eq. 6 to 10)."""
        records, m = self.records, len(self.sorted)
        saver_sum, base_sum = self.sums(self.saver), self.sums(base)
        # Sums of floats may miss an exact tie by rounding; sums of 0/1 scores are exact.
        slack = 0.0 if records.score.dtype == np.uint8 else 1e-9 * np.maximum(1.0, np.abs(base_sum))
        good = np.flatnonzero(saver_sum >= base_sum - slack)
        ratio = float(self.counts[good[-1]]) / m if len(good) else 0.0
        costs, means = records.standalone_cost, records.mean_score
        return SaverRow(
            saver=records.names[self.saver],
            base=records.names[base],
            r_match=ratio,
            delta_c=float(costs[self.saver] / costs[base]) - ratio,
            threshold=self.threshold(int(good[-1])) if len(good) else None,
            saver_cost=float(costs[self.saver]),
            base_cost=float(costs[base]),
            saver_score=float(means[self.saver]),
            base_score=float(means[base]),
        )


def _check_samples(records: Records) -> None:
    check_type("records", records, Records, "Records.from_arrays(...) or load_records(...) gives them")
    if not len(records):
        raise OrxeError("the records hold no sample: there is nothing to choose a saver on")
