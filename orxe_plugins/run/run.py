"""Run: one recipe in one output folder. Its steps are the other files of this package."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from orxe_plugins.data.datasets import Dataset, check_same_folders
from orxe_plugins.data.unlabelled import UnlabelledImages
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_space import check_class_counts, class_counts
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.experts.risks import remember_specs
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.tasks.task import Task, task_named
from orxe_plugins.tasks.unlabelled import Unlabelled
from orxe_plugins.util.content import file_fingerprint
from orxe_plugins.util.progress import Progress, Silent
from orxe_plugins.util.python_files import import_file


class Run:
    """One recipe in one output folder: what the steps have in common.

    The steps, in their order: :mod:`~orxe_plugins.run.preparing`, :mod:`~orxe_plugins.run.recording`,
    :mod:`~orxe_plugins.run.splits`, :mod:`~orxe_plugins.run.confidences`, :mod:`~orxe_plugins.run.searching`; then
    :mod:`~orxe_plugins.run.fitted` reads what the search wrote. Each step takes what the step before returned, and
    each can read it from the output folder instead.

    Args:
        recipe: the recipe.
        out: the output folder: ``records/``, ``cascade/`` and ``report/`` are made in it.
        progress: draws progress; silent by default.
        fresh: record again what an earlier run with other settings left.
        fresh_all: record everything again.
        trust_changed: go on with weights that are not those which were recorded.
        fresh_names: names of experts that are recorded again in every case.
        trust: the user trusts what the output folder's cascade says, even where it is not what the recipe says.

    Raises:
        OrxeError: the recipe's task is unknown, or its parts contradict each other.
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        progress: Progress | None = None,
        fresh: bool = False,
        fresh_all: bool = False,
        trust: bool = False,
        trust_changed: bool = False,
        fresh_names: Sequence[str] = (),
    ) -> None:
        self.recipe = recipe
        self.out = Path(out)
        self.progress = progress or Silent()
        self.fresh = fresh or fresh_all
        self.fresh_all = fresh_all
        self.trust = trust
        self.trust_changed = trust_changed
        self.fresh_names = tuple(fresh_names)
        self.plugin: str | None = None
        if recipe.plugin is not None:
            self.module_beside(recipe.plugin, "plugin")
            self.plugin = file_fingerprint(recipe.folder / recipe.plugin)
        task = task_named(recipe.task)
        self.task: Task = Unlabelled(task) if recipe.labels == "none" else task
        if recipe.gates is not None and recipe.fits_temperature:
            raise OrxeError(
                f"recipe {recipe.name!r} has gates, which take the place of a confidence, and confidence.temperature: "
                "fit, which would put the confidence back: leave out one of them"
            )
        self._listed: dict[str, Dataset] = {}

    @cached_property
    def specs(self) -> tuple[ExpertSpec, ...]:
        """The pool, with the recipe's confidence for each expert that names none of its own."""
        named = [replace(spec, name=spec.name or spec.address) for spec in self.recipe.experts]
        names = [spec.name for spec in named]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise OrxeError(f"experts are called {', '.join(twice)} more than once: give each a name of its own")
        confidence = self._confidence()
        return tuple(self._with_classes(replace(spec, confidence=spec.confidence or confidence)) for spec in named)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pool's experts, in the recipe's order."""
        return tuple(str(spec.name) for spec in self.specs)

    def experts(self) -> Iterator[Expert]:
        """The experts, built one after the other, so that a pool larger than the memory can be recorded."""
        counts: dict[str, int] = {}
        for spec in self.specs:
            expert = load_expert(spec)
            # The user's own: the cascade that is made of them asks for nothing.
            remember_specs([spec])
            counts |= class_counts([expert])
            check_class_counts(counts)
            yield expert

    def listed(self, root: str) -> Dataset:
        """The data set in a folder of the recipe, which is listed once."""
        if root not in self._listed:
            self._listed[root] = self._unlabelled() if root == self.recipe.data.unlabelled else self._labelled(root)
        return self._listed[root]

    def task_of(self, root: str) -> Task:
        """The task as it is in a folder of the recipe: without labels in ``data.unlabelled``."""
        return Unlabelled(self.task) if root == self.recipe.data.unlabelled else self.task

    def dataset(self, root: str) -> Dataset:
        """The same with no more samples than the recipe's ``data.limit``, chosen evenly."""
        dataset, limit = self.listed(root), self.recipe.data.limit
        if limit is not None and limit < len(dataset):
            dataset = dataset.select([i * len(dataset) // limit for i in range(limit)])
        return dataset

    @property
    def cascade_folder(self) -> Path:
        """Where the cascade is written."""
        return self.out / "cascade"

    @property
    def report_folder(self) -> Path:
        """Where the report is written."""
        return self.out / "report"

    def module_beside(self, file: str, key: str) -> ModuleType:
        """The Python file that the recipe names under ``key``, as a module; it is run once in a process."""
        path = self.recipe.folder / file
        name = f"orxe_recipe_{self.recipe.name}_{path.stem}"
        return import_file(path, name, f"recipe {self.recipe.name!r}", key)

    def _labelled(self, root: str) -> Dataset:
        dataset = self.task.dataset(Path(root), self.recipe.data.class_map, **self._images())
        check_same_folders(dataset, self._listed.values())
        if self.recipe.classes == "intersect":
            dataset = self.task.with_classes(dataset, [load_expert(spec) for spec in self.specs])
        return dataset

    def _unlabelled(self) -> Dataset:
        """The images of ``data.unlabelled``.

        Raises:
            OrxeError: it holds a folder of labelled images or lies in one, so that an image would count twice.
        """
        data = self.recipe.data
        folder = Path(str(data.unlabelled)).resolve()
        for labelled in (Path(root).resolve() for root in (data.root, data.report_root) if root is not None):
            if folder.is_relative_to(labelled) or labelled.is_relative_to(folder):
                raise OrxeError(
                    f"data.unlabelled is {str(folder)!r}, and labelled images are in {str(labelled)!r}: one lies in "
                    "the other, so that images would count twice. Put those without labels into a folder of their own"
                )
        return UnlabelledImages(folder, turn=self.task.turns_images)

    def _images(self) -> dict[str, Any]:
        """The argument of the task's ``dataset`` that says where images lie."""
        images = self.recipe.data.images
        if images is not None and "images" not in inspect.signature(self.task.dataset).parameters:
            raise OrxeError(f"data.images is {images!r}, but task {self.recipe.task!r} finds images in data.root alone")
        return {} if images is None else {"images": Path(images)}

    def _with_classes(self, spec: ExpertSpec) -> ExpertSpec:
        """The spec with the recipe's ``classes``, unless it says its own."""
        if self.recipe.classes == "same" or "classes" in {**parse_address(spec.address)[2], **spec.options}:
            return spec
        return replace(spec, options={**spec.options, "classes": self.recipe.classes})

    def _confidence(self) -> dict[str, Any]:
        """The recipe's confidence without a temperature that is yet to be fitted."""
        if self.recipe.confidence is None or self.recipe.chooses_confidence:
            return self.task.default_confidence().to_dict()
        return {key: value for key, value in self.recipe.confidence.items() if value != "fit"}
