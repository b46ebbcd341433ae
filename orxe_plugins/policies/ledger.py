"""The ledger of a budget guard: a leaky bucket over the costs of samples that follow each other."""

from __future__ import annotations

import numpy as np

#: costs are sums of floats: what is exactly allowed must not fail by a rounding error
_ROUNDING = 1e-9


class Ledger:
    """Says which samples may cost more, so that no run of samples in a row costs too much.

    The debt grows by what each sample costs above the budget and shrinks by what it costs below, never under 0. It is
    kept at ``room`` or less after every sample. Any ``w`` samples in a row then cost at most ``w * per_sample + room``,
    wherever they begin: the bound of a leaky bucket used as a meter (the generic cell rate algorithm of ATM, ITU-T
    I.371), for costs instead of cells. It holds for every sequence whose samples can each be had for ``per_sample``.

    Args:
        per_sample: the budget.
        room: how far the sum over some samples in a row may be above their budget.
    """

    def __init__(self, per_sample: float, room: float) -> None:
        self.per_sample = per_sample
        self.room = room
        self.debt = 0.0

    def admit(self, costs: np.ndarray, rows: np.ndarray, extra: float) -> np.ndarray:
        """Which samples may cost ``extra`` more, bool (K,); the first ones of ``rows`` go first.

        Args:
            costs: what each of the B samples at hand costs so far, float64 (B,), in their order.
            rows: positions of the K samples that want more, int64 (K,), the most urgent one first.
            extra: how much more each of them would cost, at most.
        """
        costs = costs.astype(np.float64, copy=True)
        granted = np.zeros(len(rows), dtype=bool)
        every = costs.copy()
        every[rows] += extra
        if self._debts(every).max(initial=0.0) <= self.room + _ROUNDING:
            granted[:] = True
            return granted
        highest = self._highest_through(costs)
        for k, row in enumerate(rows.tolist()):
            if highest[row] + extra <= self.room + _ROUNDING:
                granted[k] = True
                costs[row] += extra
                highest = self._highest_through(costs)
        return granted

    def settle(self, costs: np.ndarray) -> None:
        """Write down what samples did cost, float64 (B,), in their order."""
        if len(costs):
            self.debt = float(self._debts(costs)[-1])

    def _debts(self, costs: np.ndarray) -> np.ndarray:
        """The debt after each of the samples, (B,)."""
        sums = self.debt + np.cumsum(costs - self.per_sample)
        return sums - np.minimum(np.minimum.accumulate(sums), 0.0)

    def _highest_through(self, costs: np.ndarray) -> np.ndarray:
        """The highest debt that each sample has a part in, (B,): more cost of the sample adds to it as it is."""
        sums = self.debt + np.cumsum(costs - self.per_sample)
        lowest_before = np.minimum.accumulate(np.concatenate([[0.0], sums[:-1]]))
        highest_after = np.maximum.accumulate(sums[::-1])[::-1]
        return highest_after - np.minimum(lowest_before, 0.0)
