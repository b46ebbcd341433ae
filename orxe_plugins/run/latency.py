"""How long the pool's experts take on this machine, for recipes whose cost is latency."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Any

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.measure import measure_latency
from orxe_plugins.run.run import Run


class LatencyMeter:
    """Measures experts one after the other and writes ``latency.json``.

    Args:
        run: its data set gives the images, its recipe the batch sizes.
        view: the view of the one tensor that experts are handed; None hands them images.
    """

    def __init__(self, run: Run, view: ImageView | None) -> None:
        self._run, self._view = run, view
        self._sizes = run.recipe.cost.batch_sizes
        self._tables: list[LatencyTable] = []
        self._batch = cache(self._made_batch)

    def add(self, expert: Expert) -> None:
        """Measure one expert."""
        sizes, bar = self._sizes, self._run.progress
        self._tables.append(measure_latency([expert], self._batch, sizes, input_view=self._view, progress=bar))

    def save(self) -> LatencyTable:
        """Write what was measured, and give it back."""
        first = self._tables[0]
        ms = {name: row for table in self._tables for name, row in table.ms.items()}
        table = LatencyTable(first.batch_sizes, ms, first.details)
        table.save(latency_file(self._run))
        return table

    def _made_batch(self, size: int) -> Any:
        images = self._images[:size]
        return images if self._view is None else self._view.from_images(images)

    @cached_property
    def _images(self) -> list[Any]:
        dataset = self._run.dataset(self._run.recipe.data.root)
        return [dataset.load(i % len(dataset)) for i in range(max(self._sizes))]


def latency_file(run: Run) -> Path:
    """Where measured latencies are written."""
    return run.out / "latency.json"


def must_measure(run: Run) -> bool:
    """Whether the recipe's cost is a latency that is not measured yet, or is to be measured again."""
    cost = run.recipe.cost
    return cost.kind == "latency" and cost.table is None and (run.fresh or not latency_file(run).is_file())


def latency_table(run: Run, view: ImageView | None) -> LatencyTable | None:
    """The latencies that the recipe's cost needs, measured now if they are not; None for another cost.

    Args:
        run: the run.
        view: the view of the one tensor that experts are handed; None hands them images.
    """
    cost = run.recipe.cost
    if cost.kind != "latency":
        return None
    if cost.table is not None:
        return LatencyTable.load(str(cost.table))
    if latency_file(run).is_file():
        return LatencyTable.load(latency_file(run))
    meter = LatencyMeter(run, view)
    for expert in run.experts():
        meter.add(expert)
    return meter.save()
