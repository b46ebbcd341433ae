"""TimeCost: what a policy takes in milliseconds per sample, in a batch of a fixed size or as a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.errors import OrxeError


@dataclass(frozen=True)
class TimeCost:
    """Measured times, and what is asked of them.

    Attributes:
        table: the times of all experts.
        batch_size: of the whole batch; of a stream's full batches.
        kind: "latency": a batch comes in, and an expert gets those of its samples that reach it; "throughput": samples
            wait until each expert has a full batch.
    """

    table: LatencyTable
    batch_size: int = 1
    kind: str = "latency"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise OrxeError(f"batch_size is {self.batch_size!r}: expected at least 1")
        if self.kind not in ("latency", "throughput"):
            raise OrxeError(f"a time is asked for as {self.kind!r}: expected 'latency' or 'throughput'")

    @property
    def words(self) -> str:
        """What the milliseconds are: "ms per sample in batches of 32"."""
        what = "in batches of" if self.kind == "latency" else "of a stream in full batches of"
        return f"ms per sample {what} {self.batch_size}"

    def own_ms(self, name: str, share: float) -> float:
        """Milliseconds for each sample that comes to an expert, where ``share`` of all do."""
        if self.kind == "throughput":
            return self.table.full_ms(name, self.batch_size)
        return self.table.per_sample(name, self.batch_size, share)

    def backbone_ms(self, exits: Sequence[str], reach: Mapping[str, float]) -> dict[str, float]:
        """Milliseconds for each sample that is answered at an exit, for the backbone up to there.

        Args:
            exits: the exits of one backbone, first to last.
            reach: share of the samples that go through the backbone at least up to each; above 0.
        """
        total, before, found = 0.0, "", {}
        for name in exits:
            # The part between two exits works on those samples alone that come so far.
            part = self._backbone(name, reach[name]) - (self._backbone(before, reach[name]) if before else 0.0)
            total += max(part, 0.0)
            found[name], before = total, name
        return found

    def _backbone(self, name: str, share: float) -> float:
        size = self.batch_size
        if name not in self.table.shared:
            raise OrxeError(
                f"the times of exit {name!r} say nothing of the backbone before it: measure again, by `orxe profile` "
                "or --fresh"
            )
        if self.kind == "throughput":
            return float(self.table.shared_ms(name, size)) / size
        return self.table.expected_shared_ms(name, size, share) / (size * share)

    def mean_ms(
        self, names: Sequence[str], run_share: np.ndarray, exits: Sequence[str], reach: Mapping[str, float]
    ) -> float:
        """Milliseconds per sample of the whole stream of samples.

        Args:
            names: N experts.
            run_share: share of the samples that each runs on, (N,).
            exits, reach: see :meth:`backbone_ms`; a share may be 0.
        """
        own = sum(float(s) * self.own_ms(name, float(s)) for name, s in zip(names, run_share, strict=True) if s > 0)
        passed = [name for name in exits if reach[name] > 0]
        upto = self.backbone_ms(passed, reach)
        parts = [upto[name] - (upto[passed[i - 1]] if i else 0.0) for i, name in enumerate(passed)]
        return own + sum(part * reach[name] for part, name in zip(parts, passed, strict=True))
