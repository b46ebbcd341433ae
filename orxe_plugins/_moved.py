"""Names of version 0.1.0 that live elsewhere since 0.2: they go on working for one release, with a warning.

Old modules are found by an import hook that is asked only after all others, when nothing else has the module. What an
old module gives are the objects of the new ones, so that pickles of 0.1.0, which hold names of modules, load too.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

_ROOT = "orxe_plugins."
_ADVICE = "The old name goes in version 0.3: see docs/migration.md."
#: modules whose calls lie between a user's import and the warning
_BETWEEN = (__name__, "orxe_plugins.util.lazy", "importlib", "importlib._bootstrap", "_frozen_importlib")
#: old packages that are gone, whose modules are in MODULES by themselves
_PACKAGES = ("coco",)

#: module of 0.1.0 -> the modules that hold what it held, all of them inside of orxe_plugins
MODULES: dict[str, tuple[str, ...]] = {
    "batch": ("data.batch",),
    "building": ("cascade.build",),
    "calibration": ("detection.calibration",),
    "cascade_file": ("cascade.file",),
    "check": ("run.check",),
    "checkpoints": ("experts.checkpoints",),
    "coco": ("detection",),
    "coco.average_precision": ("detection.coco.average_precision",),
    "coco.boxes": ("detection.coco.boxes",),
    "coco.calibrated": ("detection.coco.calibrated",),
    "coco.dataset": ("detection.coco.dataset",),
    "coco.ground_truth": ("detection.coco.ground_truth",),
    "coco.image_score": ("detection.coco.image_score",),
    "coco.kernels": ("detection.coco.kernels",),
    "coco.matching": ("detection.coco.matching",),
    "coco.rules": ("detection.coco.rules",),
    "console": ("cli.console",),
    "datasets": ("data.datasets", "data.reading", "data.class_folders"),
    "detections": ("detection.detections",),
    "execute": ("cli.execute",),
    "expert": ("experts.expert", "experts.classifier", "experts.detector", "experts.label_space"),
    "experts_file": ("run.experts_file",),
    "features": ("experts.features",),
    "files": ("util.files",),
    "fitting": ("run.fit",),
    "front": ("cascade.controls",),
    "gate_fit": ("training.gate",),
    "gates": ("training.gate_files",),
    "image_lists": ("data.image_lists", "data.masks"),
    "images": ("data.images",),
    "journey": ("experts.batch_context",),
    "label_space": ("experts.label_space",),
    "labels": ("detection.labels",),
    "pipeline": ("run.run", "run.recording"),
    "policy": ("policies.table", "policies.row", "policies.policy"),
    "policy_row": ("policies.row",),
    "progress": ("util.progress",),
    "python_files": ("util.python_files",),
    "recipe": ("run.recipe",),
    "recipe_file": ("run.recipe_file", "run.recipe_folders"),
    "records.fingerprint": ("experts.fingerprint",),
    "registry": ("experts.registry",),
    "report.estimates": ("evaluation.estimates",),
    "report.evaluate": ("evaluation.evaluate",),
    "report.frontier": ("report.figures.frontier",),
    "report.gate": ("evaluation.gate",),
    "report.gate_content": ("report.content.gate", "report.figures.gate"),
    "report.label_layout": ("report.figures.label_layout",),
    "report.metric": ("evaluation.metric",),
    "report.promised": ("report.content.promises",),
    "report.results": ("evaluation.results",),
    "report.saver": ("evaluation.saver",),
    "report.saver_content": ("report.content.saver", "report.content.saver_tables"),
    "report.saver_figure": ("report.figures.saver",),
    "report.shares": ("report.figures.shares",),
    "reporting": ("cli.reports", "cli.routed", "cli.predictions", "cli.dry_run", "cli.names"),
    "resample": ("data.resample",),
    "routed": ("evaluation.routed",),
    "routing": ("cascade.routing",),
    "search.bounds": ("search.engine.bounds",),
    "search.candidates": ("search.engine.candidates",),
    "search.choose": ("search.pareto",),
    "search.drop_test": ("search.betting_test",),
    "search.exhaustive": ("search.engine.exhaustive",),
    "search.grid": ("search.engine.grid",),
    "search.hull": ("util.hull",),
    "search.intervals": ("evaluation.intervals",),
    "search.kernels": ("search.engine.kernels",),
    "search.ladder": ("search.engine.multiresolution",),
    "search.lines": ("search.engine.exit_lines",),
    "search.local": ("search.engine.local_search",),
    "search.objective": ("search.engine.objective",),
    "search.pairs": ("search.engine.pairs", "search.engine.pair_pass"),
    "search.problem": ("search.engine.problem",),
    "search.steepest": ("search.engine.algorithm_1",),
    "search.thresholds": ("search.fit",),
    "search.triples": ("search.engine.triples",),
    "search.two": ("search.engine.two_experts",),
    "sharing": ("cost.sharing",),
    "shift": ("evaluation.view_shift",),
    "splits": ("run.splits",),
    "thresholds": ("policies.policy",),
    "views": ("data.views",),
}

#: module of 0.1.0 -> its names that moved alone or have another name now: name -> "module:name"
NAMES: dict[str, dict[str, str]] = {
    "cost.latency": {"measure_latency": "experts.measure:measure_latency"},
    "fitting": {"price": "run.fit:with_recipe_costs"},
    "pipeline": {"Judged": "run.confidences:Pool"},
    "recipe": {"ExpertEntry": "experts.spec:ExpertSpec"},
    "front": {"CascadeFront": "cascade.controls:CascadeControls"},
    "report.content": {
        "PATHS": "report.content.origin:INPUT_MODES",
        "evaluation_document": "report.content.evaluation:evaluation_document",
        "expert_table": "report.content.tables:expert_table",
        "facts": "report.content.origin:evaluation_facts",
        "frontier_caption": "report.content.evaluation:frontier_caption",
        "highlights": "report.content.sentences:highlights",
        "intervals_text": "report.content.origin:intervals_text",
        "policy_table": "report.content.tables:policy_table",
        "sample_facts": "report.content.origin:sample_facts",
        "summary": "report.content.sentences:summary",
        "threshold_table": "report.content.tables:threshold_table",
        "thresholds_text": "report.content.tables:thresholds_text",
        "warnings": "report.content.sentences:warnings",
    },
    "report.files": {
        "policy_rows": "report.content.policy_rows:policy_rows",
        "write_report": "report.content.evaluation:write_report",
    },
    "report.gate_content": {"summary": "report.content.gate:gate_summary"},
    "search": {
        "Bootstrap": "evaluation.intervals:Bootstrap",
        "bootstrap": "evaluation.intervals:bootstrap",
        "clopper_pearson": "evaluation.intervals:clopper_pearson",
    },
}


def install() -> None:
    """Let old modules be found from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def moved_names(module: str) -> Callable[[str], Any]:
    """``__getattr__`` for a module that is where it was, but some names of which moved or were renamed.

    Args:
        module: the module's ``__name__``.
    """

    def get(name: str) -> Any:
        old = module.removeprefix(_ROOT)
        inner = name if module == _ROOT[:-1] else f"{old}.{name}"
        if inner in MODULES:
            return import_module(_ROOT + inner)
        if name not in NAMES.get(old, {}):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, new = NAMES[old][name].split(":")
        _warn(f"{module}.{name} is now {_ROOT}{place}.{new}")
        value = getattr(import_module(_ROOT + place), new)
        setattr(sys.modules[module], name, value)  # one warning is enough
        return value

    return get


class _Finder(MetaPathFinder):
    """Finds modules of 0.1.0."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        old = fullname.removeprefix(_ROOT)
        if old == fullname or old not in MODULES:
            return None
        return spec_from_loader(fullname, _Alias(old), is_package=old in _PACKAGES)


class _Alias(Loader):
    """Makes a module whose names are those of other modules."""

    def __init__(self, old: str) -> None:
        self.old = old
        self.places = [_ROOT + place for place in MODULES[old]]

    def exec_module(self, module: ModuleType) -> None:
        _warn(f"{_ROOT}{self.old} is now {', '.join(self.places)}")
        module.__doc__ = f"Deprecated: see {', '.join(self.places)}."
        module.__getattr__ = self._get  # type: ignore[method-assign]
        module.__dir__ = self._names  # type: ignore[method-assign]

    def _get(self, name: str) -> Any:
        if name == "__all__":
            return self._names()
        renamed = NAMES.get(self.old, {}).get(name)
        if renamed is not None:
            place, new = renamed.split(":")
            return getattr(import_module(_ROOT + place), new)
        for place in [] if name.startswith("__") else self.places:
            if hasattr(module := import_module(place), name):
                return getattr(module, name)
        raise AttributeError(f"{_ROOT}{self.old}.{name} is not in {' or '.join(self.places)}. {_ADVICE}")

    def _names(self) -> list[str]:
        found = {name for place in self.places for name in dir(import_module(place))} | {*NAMES.get(self.old, {})}
        return sorted(name for name in found if not name.startswith("_"))


def _warn(message: str) -> None:
    """A warning at the user's line: only one there is shown by default, and only one says what to mend."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    warnings.warn_explicit(
        f"{message}. {_ADVICE}",
        DeprecationWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )
