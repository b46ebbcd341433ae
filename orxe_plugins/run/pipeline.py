"""A recipe's steps: prepare, record, search, evaluate. Each reads what the step before it wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from orxe_plugins.cascade.file import CascadeFile, write_cascade
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.views import ImageView, widest_view
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.measure import measure_latency
from orxe_plugins.experts.registry import ExpertSpec, load_adapter, load_expert, parse_address
from orxe_plugins.records import RecordOptions, Records
from orxe_plugins.records.loading import load_records
from orxe_plugins.records.recorder import record
from orxe_plugins.records.temperature import fit_temperatures, with_temperatures
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.run.fit import fit_table, keep_experts, price
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.splits import Splits, split_records
from orxe_plugins.tasks import Task, task_named
from orxe_plugins.training.gate import GateSettings
from orxe_plugins.training.gate_files import GateFiles, train_gates, with_gates
from orxe_plugins.util.progress import Progress, Silent
from orxe_plugins.util.python_files import import_file

#: the recorded samples, and the experts by name, with the confidences that the cascade will have
Judged = tuple[Splits, dict[str, ExpertSpec]]


class Run:
    """One recipe in one output folder.

    Args:
        recipe: the recipe.
        out: the output folder: ``records/``, ``cascade/`` and ``report/`` are made in it.
        progress: draws progress; silent by default.
        fresh: record again what an earlier run with other settings left.
    """

    def __init__(self, recipe: Recipe, out: Path, progress: Progress | None = None, fresh: bool = False) -> None:
        self.recipe = recipe
        self.out = Path(out)
        self.progress = progress or Silent()
        self.fresh = fresh
        if recipe.plugin is not None:
            self._beside(recipe.plugin, "plugin")
        self.task: Task = task_named(recipe.task)
        if recipe.gates is not None and self._fits_temperature:
            raise OrxeError(
                f"recipe {recipe.name!r} has gates, which take the place of a confidence, and confidence.temperature: "
                "fit, which would put the confidence back: leave out one of them"
            )

    # --- experts ------------------------------------------------------------------------------

    @cached_property
    def specs(self) -> tuple[ExpertSpec, ...]:
        """The pool, with the recipe's confidence where an expert names none of its own."""
        entries = self.recipe.experts
        specs = read_experts_file(entries) if isinstance(entries, str) else [entry.spec() for entry in entries]
        named = [replace(spec, name=spec.name or spec.address) for spec in specs]
        names = [spec.name for spec in named]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise OrxeError(f"experts are called {', '.join(twice)} more than once: give each a name of its own")
        confidence = self._fixed_confidence()
        return tuple(replace(spec, confidence=spec.confidence or confidence) for spec in named)

    def experts(self) -> Iterator[Expert]:
        """The experts, built one after the other, so that a pool larger than the memory can be recorded."""
        classes: dict[str, int] = {}
        for spec in self.specs:
            expert = load_expert(spec)
            if isinstance(expert, ClassifierExpert):
                classes[expert.name] = expert.num_classes
                if len(set(classes.values())) > 1:
                    listed = ", ".join(f"{name}: {count}" for name, count in classes.items())
                    raise OrxeError(f"experts of one cascade must have the same classes, but they have {listed}")
            yield expert

    @cached_property
    def input_view(self) -> ImageView | None:
        """The one tensor that serves all classifiers of the pool; None for other tasks."""
        views = [expert.view for expert in self.experts() if isinstance(expert, ClassifierExpert)]
        return widest_view(views) if views else None

    def _fixed_confidence(self) -> dict[str, Any] | None:
        """The recipe's confidence without a temperature that is yet to be fitted."""
        if self.recipe.confidence is None:
            return self.task.default_confidence().to_dict()
        return {key: value for key, value in self.recipe.confidence.items() if value != "fit"}

    @property
    def _fits_temperature(self) -> bool:
        return (self.recipe.confidence or {}).get("temperature") == "fit"

    # --- steps --------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Run the recipe's own ``prepare``, which makes data or experts and skips what exists."""
        if self.recipe.prepare is None:
            return
        module = self._beside(self.recipe.prepare, "prepare")
        module.prepare(self.recipe, self.out, self.progress, **self.recipe.prepare_options)

    def record(self) -> None:
        """Record every expert on every sample; what is there already is kept."""
        for folder, dataset, augment in self._recordings():
            self._record_one(folder, dataset, augment)

    def splits(self) -> Splits:
        """The recorded samples, split for fitting and reporting."""
        folders = [folder for folder, _, _ in self._recordings()]
        # Experts that the recipe no longer names may still lie in the folders.
        names = [str(spec.name) for spec in self.specs]
        fit = load_records(folders[0], names)
        report = load_records(folders[-1], names)
        splits = split_records(self.recipe.data, fit, report)
        if self.recipe.gates is None:
            return splits
        gate, fit = splits.fit.split(self.recipe.gates.share, seed=self.recipe.data.split.seed + 1)
        return replace(splits, fit=fit, gate=gate)

    def train_gates(self) -> GateFiles:
        """Train the ranking gates that the recipe asks for; those that are trained on these records already stay."""
        if self.recipe.gates is None:
            raise OrxeError(f"recipe {self.recipe.name!r} has no gates: add `gates: {{}}` to it, or gates.share=0.5")
        settings = self.recipe.gates
        splits = self.splits()
        assert splits.gate is not None
        names = list(splits.gate.names[:-1]) if settings.experts is None else settings.experts
        return train_gates(
            splits.gate,
            self._recordings()[0][0],
            names,
            GateSettings(**settings.model_dump(exclude={"experts", "share"})),
            self.task.gate_summary,
            self.cascade_folder / "gates",
            self.progress,
        )

    def search(self) -> CascadeFile:
        """Fit policies on the fitting split and write the cascade's folder."""
        return self.fitted()[0]

    def judged(self) -> Judged:
        """The recorded samples and the experts, by name, with the confidences that the cascade will have."""
        splits = self.splits()
        specs = {str(spec.name): spec for spec in self.specs}
        if self.recipe.gates is not None:
            gates = self.train_gates()
            splits = self.gated(splits, gates)
            specs = {n: replace(s, confidence=gates.confidence(n) or s.confidence) for n, s in specs.items()}
        if self._fits_temperature:
            temperatures = fit_temperatures(splits.fit)
            splits = splits.map(lambda records: with_temperatures(records, temperatures))
            fit = splits.fit
            specs = {name: replace(spec, confidence=fit.details["confidence"][name]) for name, spec in specs.items()}
        return splits, specs

    def fitted(self, judged: Judged | None = None) -> tuple[CascadeFile, Splits]:
        """The cascade that the recorded samples give, written to disk, and the splits as it sees them.

        Args:
            judged: what :meth:`judged` gave, where it is known already.
        """
        splits, specs = judged or self.judged()
        latency = self.latency() if self.recipe.cost.kind == "latency" else None
        splits = keep_experts(self.recipe, price(self.recipe, splits, latency))
        table = fit_table(self.recipe, splits, latency)
        costs = dict(zip(splits.fit.names, splits.fit.cost.tolist(), strict=True))
        chosen = tuple(replace(specs[name], cost=costs[name]) for name in splits.fit.names)
        file = CascadeFile(chosen, table, self.recipe.task, self._input_view_of(chosen), self.recipe.path)
        write_cascade(self.cascade_folder, file)
        return file, splits

    def latency(self) -> LatencyTable:
        """What the experts take on this machine; what was measured before, ``latency.json``, is kept."""
        cost = self.recipe.cost
        path = self.out / "latency.json" if cost.table is None else Path(str(cost.table))
        if cost.table is not None or (path.is_file() and not self.fresh):
            return LatencyTable.load(path)
        dataset = self._dataset(self.recipe.data.root)
        images = [dataset.load(i % len(dataset)) for i in range(max(cost.batch_sizes))]
        view = self.input_view if self.recipe.path == "tensor" else None

        def batch(size: int) -> Any:
            return images[:size] if view is None else view.from_images(images[:size])

        table = measure_latency(self.experts(), batch, cost.batch_sizes, input_view=view, progress=self.progress)
        table.save(path)
        return table

    def gated(self, splits: Splits, gates: GateFiles) -> Splits:
        """The splits with the gates' confidences and costs in place of the experts' own."""
        folders = [folder for folder, _, _ in self._recordings()]
        # Augmented samples have features of their own, and so do those of another folder.
        choosing = folders[-1] if self.recipe.data.report_root is None else folders[0]
        return replace(
            splits,
            fit=with_gates(splits.fit, folders[0], gates),
            report=with_gates(splits.report, folders[-1], gates),
            choose=None if splits.choose is None else with_gates(splits.choose, choosing, gates),
        )

    def metric(self, records: Records) -> Metric:
        """What the score of some recorded samples is, as the task says."""
        return Metric.of_task(self.task, self.samples_of(records).targets)

    def samples_of(self, records: Records) -> Dataset:
        """The data set's samples that records of the reporting split are of, in their order."""
        root = self.recipe.data.report_root or self.recipe.data.root
        dataset = self._dataset(root)
        place = {sample: i for i, sample in enumerate(dataset.sample_ids)}
        return dataset.select(place[str(sample)] for sample in records.sample_ids)

    @property
    def cascade_folder(self) -> Path:
        """Where the cascade is written."""
        return self.out / "cascade"

    @property
    def report_folder(self) -> Path:
        """Where the report is written."""
        return self.out / "report"

    def _beside(self, file: str, key: str) -> Any:
        """The Python file that the recipe names, as a module; it is run once in a process."""
        path = self.recipe.folder / file
        name = f"orxe_recipe_{self.recipe.name}_{path.stem}"
        return import_file(path, name, f"recipe {self.recipe.name!r}", key)

    # --- helpers ------------------------------------------------------------------------------

    def _recordings(self) -> list[tuple[Path, Dataset, str | None]]:
        """Folder, data set and augmentation of each recording: one for both splits where that will do."""
        data, augment = self.recipe.data, self.recipe.record.augment
        fit = self._dataset(data.root)
        if data.report_root is None and augment is None:
            return [(self.out / "records", fit, None)]
        report = self._dataset(data.report_root) if data.report_root is not None else fit
        return [(self.out / "records-fit", fit, augment), (self.out / "records-report", report, None)]

    def _dataset(self, root: str) -> Dataset:
        dataset = self.task.dataset(Path(root), self.recipe.data.class_map)
        limit = self.recipe.data.limit
        if limit is not None and limit < len(dataset):
            dataset = dataset.select([i * len(dataset) // limit for i in range(limit)])
        return dataset

    def _record_one(self, folder: Path, dataset: Dataset, augment: str | None) -> None:
        settings = self.recipe.record
        options = RecordOptions(
            input_mode=self.recipe.path,
            input_view=self.input_view if self.recipe.path == "tensor" else None,
            keep="all" if self._fits_temperature else settings.keep,
            features=self.recipe.gates is not None,
            augment=None if augment is None else load_augmentation(augment),
            batch_size=settings.batch_size,
            shard_size=settings.shard_size,
            fresh=self.fresh,
        )
        for expert in self.experts():
            record([expert], dataset, folder, task=self.task, options=options, progress=self.progress)

    def _input_view_of(self, specs: Sequence[ExpertSpec]) -> ImageView | None:
        # Records along the tensor path were made with the whole pool's view: inference must keep it.
        return self.input_view if self.recipe.path == "tensor" else None


def load_augmentation(address: str) -> Any:
    """The training-time augmentation called ``adapter:name``, such as "timm:original"."""
    adapter, name, options = parse_address(address if ":" in address else f"timm:{address}")
    loaded = load_adapter(adapter)
    if not hasattr(loaded, "augment"):
        raise OrxeError(f"adapter {adapter!r} has no augmentation, but record.augment is {address!r}")
    return loaded.augment(name, **options)
