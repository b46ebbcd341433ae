"""How long the pool's experts take: for recipes whose cost is time, and for `orxe profile`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.cost.time_cost import TimeCost
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, OrxeWarning
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.measure import Timing, machine, measure_latency
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.run.run import Run
from orxe_plugins.util.devices import usable_device
from orxe_plugins.util.files import safe_name

#: runs of a single sample: enough for a 99th percentile
_SINGLES = 100


class LatencyMeter:
    """Measures experts one after the other.

    Args:
        run: its data set gives the images, its recipe the batch sizes.
        view: the view of the one tensor that experts are handed; None hands them images.
        device: where experts are measured; None leaves them where they are.
        timing: how times are taken.
    """

    def __init__(
        self, run: Run, view: ImageView | None, device: torch.device | None = None, timing: Timing | None = None
    ) -> None:
        self._run, self._view, self._device = run, view, device
        self._timing = timing or Timing(singles=_SINGLES)
        self._sizes = run.recipe.cost.batch_sizes
        self._tables: list[LatencyTable] = []
        self._batch = cache(self._made_batch)

    def add(self, expert: Expert) -> None:
        """Measure one expert."""
        expert = expert if self._device is None else expert.to(self._device)
        self._tables.append(
            measure_latency(
                [expert],
                self._batch,
                self._sizes,
                input_view=self._view,
                timing=self._timing,
                progress=self._run.progress,
            )
        )

    def table(self) -> LatencyTable:
        """What was measured."""
        joined = LatencyTable.joined(self._tables)
        joined.details["input"] = "originals" if self._view is None else "tensor"
        return joined

    def save(self) -> LatencyTable:
        """Write what was measured as the run's own table, and give it back."""
        table = self.table()
        table.save(latency_file(self._run))
        return table

    def _made_batch(self, size: int) -> Any:
        images = self._images[:size]
        if self._view is None:
            return images
        batch = self._view.from_images(images)
        return batch if self._device is None else batch.to(self._device)

    @cached_property
    def _images(self) -> list[Any]:
        dataset = self._run.dataset(self._run.recipe.data.root)
        return [dataset.load(i % len(dataset)) for i in range(max(self._sizes))]


def latency_file(run: Run) -> Path:
    """Where measured latencies are written."""
    return run.out / "latency.json"


def must_measure(run: Run) -> bool:
    """Whether experts are measured while they are recorded.

    That is so where the recipe's cost is a time that is not measured yet, or is to be measured again; but not where
    gates are trained later, which belong to the time of their experts.
    """
    cost = run.recipe.cost
    wanted = cost.in_time and cost.table is None and run.recipe.gates is None
    return wanted and (run.fresh or not latency_file(run).is_file())


def latency_table(run: Run, view: ImageView | None, specs: Iterable[ExpertSpec] | None = None) -> LatencyTable | None:
    """The times that the recipe's cost needs, measured now if they are not; None for another cost.

    Args:
        run: the run.
        view: the view of the one tensor that experts are handed; None hands them images.
        specs: the experts as the cascade will have them, with their gates; the pool's by default.
    """
    cost = run.recipe.cost
    if not cost.in_time:
        return None
    if cost.table is not None:
        return _reaching(LatencyTable.load(str(cost.table)), cost.batch_size, str(cost.table))
    again = run.fresh and run.recipe.gates is not None
    if latency_file(run).is_file() and not again:
        return _reaching(LatencyTable.load(latency_file(run)), cost.batch_size, str(latency_file(run)))
    meter = LatencyMeter(run, view)
    for expert in run.experts() if specs is None else map(load_expert, specs):
        meter.add(expert)
    return meter.save()


def _reaching(table: LatencyTable, batch_size: int, file: str) -> LatencyTable:
    """The table, with a warning where it was measured at smaller batches alone than are asked for."""
    largest = table.batch_sizes[-1]
    if batch_size > largest:
        warnings.warn(
            f"cost.batch_size is {batch_size}, but {file} was measured at {largest} at most: larger batches are taken "
            "to cost as much per sample as those. Measure with cost.batch_sizes up to it",
            OrxeWarning,
            stacklevel=2,
        )
    return table


def profile_file(run: Run, device: torch.device, dtype: str) -> Path:
    """Where `orxe profile` writes the times on a device."""
    return profile_folder(run) / f"{safe_name(machine(device))}-{dtype}.json"


def profile_folder(run: Run) -> Path:
    """Where the profiles of a run are, one file for each device and precision."""
    return run.out / "profiles"


def write_profile(
    run: Run, view: ImageView | None, specs: Iterable[ExpertSpec], device: torch.device, timing: Timing
) -> Path:
    """Measure the experts on a device, and write what was measured into the device's file.

    Args:
        run: its data set gives the images, its recipe the batch sizes.
        view: the view of the one tensor that experts are handed; None hands them images.
        specs: the experts, with their gates where they have some.
        device: where they run.
        timing: how times are taken.

    Returns:
        The file.
    """
    meter = LatencyMeter(run, view, device, timing)
    for spec in specs:
        meter.add(load_expert(spec))
    file = profile_file(run, device, timing.dtype)
    file.parent.mkdir(parents=True, exist_ok=True)
    meter.table().save(file)
    return file


def times_of(run: Run, table: PolicyTable, names: Sequence[str]) -> TimeCost | None:
    """What a report says about time: the cost that policies were fitted to, or else the newest profile of the run.

    Args:
        run: the run.
        table: its policies.
        names: the experts; a profile in which one of them is missing says nothing.

    Returns:
        None where nothing was measured.
    """
    fitted = table.details.get("latency")
    if fitted is not None:
        kind = "throughput" if fitted.get("kind") == "throughput" else "latency"
        return TimeCost(LatencyTable.from_dict(fitted), fitted["batch_size"], kind)
    for file in sorted(profile_folder(run).glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        profiled = LatencyTable.load(file)
        if set(names) <= set(profiled.ms):
            return TimeCost(profiled, run.recipe.cost.batch_size)
    return None


def device_named(name: str) -> torch.device:
    """A device that is there.

    Raises:
        OrxeError: there is no such device, or it cannot be used.
    """
    device = usable_device(name)
    if device.type == "meta":
        raise OrxeError("device 'meta' computes nothing: name one that does, such as cpu")
    return device
