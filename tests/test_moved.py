"""Every module and every public name of 0.1.0 can be imported still, and says where it went."""

from __future__ import annotations

import ast
import importlib
import json
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

import orxe_plugins
from orxe_plugins._moved import MODULES, NAMES

#: module of 0.1.0 -> its public names: classes, functions and constants at its top level, and its ``__all__``
OLD = {
    module: names.split()
    for module, names in json.loads((Path(__file__).parent / "names_0_1_0.json").read_text(encoding="utf-8")).items()
}
#: names that are gone, with the reason; whatever else is missing was forgotten
GONE = {
    "cli": (
        "DataOption FreshOption OutOption Overrides RecipeArgument check evaluate execute list_names predict record "
        "run search select_pool select_saver train_gate",
        "parts of the command `orxe`, which nothing outside of it imported",
    ),
    "esn.backbone": ("Passage", "what stages of a backbone share is in StageCache, which belongs to a batch"),
    "expert": ("share_labels", "a cascade keeps its label space by itself: an expert may serve in two"),
    "journey": (
        "Journey answers_of new_journey note_answer this_journey",
        "what experts of one batch share is one object, BatchContext, that is handed along",
    ),
    "policy": ("check_asked", "Selection checks what is asked for"),
    "report.frontier": ("mixing_hull", "there is one convex hull, in util.hull"),
    "report.metric": ("DrawFunction", "nothing used draws of a metric"),
    "search.choose": ("front pareto_policies", "there is one Pareto filter, in util.pareto"),
    "search.hull": ("pick", "there is one convex hull, in util.hull"),
    "search.candidates": ("Job Settings", "parts of the engine of the search, with other names and arguments"),
    "search.kernels": ("Task Work tally work_for", "parts of the engine of the search, with other names and arguments"),
    "search.ladder": ("LADDER Rung climb", "parts of the engine of the search, with other names and arguments"),
    "search.lines": ("Lines", "a part of the engine of the search, with another name"),
    "search.local": ("PAIR_LEVELS", "a part of the engine of the search, with another name"),
    "search.problem": ("Samples", "a part of the engine of the search, with another name"),
    "search.two": ("Found fit_two", "parts of the engine of the search, with other names and arguments"),
    "label_space": ("answer_in", "a cascade keeps its label space by itself: an expert may serve in two"),
    "routing": ("exits", "the router compares confidences with thresholds by itself"),
    "records.recorder": ("PATHS", "now INPUT_MODES in records.options"),
}


def import_parent(module: str) -> None:
    """Import the package of 0.1.0 that holds a module, so that its own warning is not counted."""
    package = module.rpartition(".")[0]
    if package:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(f"orxe_plugins.{package}")


def import_old(module: str) -> tuple[ModuleType, list[warnings.WarningMessage]]:
    """A module of 0.1.0 as if it were imported for the first time, and our warnings on the way."""
    name = f"orxe_plugins.{module}"
    if module in MODULES:
        sys.modules.pop(name, None)
        import_parent(module)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = importlib.import_module(name)
    return found, [one for one in caught if "docs/migration.md" in str(one.message)]


@pytest.mark.parametrize("module", sorted(OLD))
def test_an_old_module_and_its_names_are_found(module: str) -> None:
    found, said = import_old(module)
    if module in MODULES:
        (warning,) = said
        assert warning.category is DeprecationWarning and warning.filename == __file__
        assert f"orxe_plugins.{module} is now orxe_plugins.{MODULES[module][0]}" in str(warning.message)
    else:
        assert not said
    gone = GONE[module][0].split() if module in GONE else ()
    missing = [name for name in OLD[module] if name not in gone and not hasattr(found, name)]
    assert not missing


def test_the_table_holds_old_modules_and_new_ones_alone() -> None:
    assert set(MODULES) | set(NAMES) <= set(OLD)
    folder = Path(orxe_plugins.__file__).parent
    for module in MODULES:
        place = folder / module.replace(".", "/")
        assert not place.with_suffix(".py").exists() and not (place / "__init__.py").exists(), f"{module} is there"


def test_old_names_are_the_same_objects() -> None:
    from orxe_plugins.coco.boxes import BoxTable  # type: ignore[import-not-found]
    from orxe_plugins.expert import ClassifierExpert, DetectorExpert  # type: ignore[import-not-found]

    from orxe_plugins.cost.latency import measure_latency  # type: ignore[attr-defined]
    from orxe_plugins.search import bootstrap  # type: ignore[attr-defined]

    assert ClassifierExpert is orxe_plugins.ClassifierExpert and DetectorExpert is orxe_plugins.DetectorExpert
    assert BoxTable is orxe_plugins.detection.BoxTable
    assert measure_latency is orxe_plugins.experts.measure_latency
    assert bootstrap is orxe_plugins.evaluation.bootstrap


def test_old_modules_are_found_in_every_way_of_asking() -> None:
    program = """
import warnings, sys
warnings.simplefilter("error")
import orxe_plugins
assert not [name for name in sys.modules if name == "orxe_plugins.views"]
warnings.simplefilter("ignore")
assert orxe_plugins.views.ImageView is orxe_plugins.ImageView
from orxe_plugins import datasets, coco
from orxe_plugins.report import evaluate
import orxe_plugins.coco.rules as rules
from orxe_plugins.policy import *
assert PolicyRow is orxe_plugins.PolicyRow and coco.CocoDataset and rules.MAX_BOXES and datasets.ImageFolder
assert evaluate.evaluate is orxe_plugins.evaluate
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_moved_name_warns_once() -> None:
    program = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        from orxe_plugins.search import bootstrap
        from orxe_plugins.cost.latency import measure_latency
print(*(f"{one.lineno} {one.message}" for one in caught), sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("6 orxe_plugins.search.bootstrap is now orxe_plugins.evaluation.intervals.bootstrap.")
    assert second.startswith("7 orxe_plugins.cost.latency.measure_latency is now orxe_plugins.experts.measure.")


def test_pickles_that_name_old_modules_load() -> None:
    """As 0.1.0 wrote them: protocol 0 holds the names as text."""
    policy = orxe_plugins.Policy((0.5,))
    new = pickle.dumps(policy, protocol=0)
    old = new.replace(b"orxe_plugins.policies.policy", b"orxe_plugins.thresholds")
    assert old != new and pickle.loads(old) == policy


def test_what_never_was_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=re.escape("orxe_plugins.nowhere")):
        importlib.import_module("orxe_plugins.nowhere")
    old, _ = import_old("views")
    with pytest.raises(AttributeError, match=r"views.Nothing is not in orxe_plugins.data.views.*migration"):
        old.Nothing
    assert not hasattr(old, "__path__")
    with pytest.raises(ImportError):
        importlib.import_module("orxe_plugins.views.more")


def test_this_project_uses_no_old_name(root: Path) -> None:
    files = [path for part in ("orxe_plugins", "adapters", "recipes", "benchmarks", "tests", "docs")
             for path in (root / part).rglob("*.py")
             if path != Path(__file__) and path.name != "make_0_1_0.py"]  # which runs in that release  # fmt: skip
    old = {f"orxe_plugins.{module}" for module in MODULES}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            assert not old.intersection(names), f"{path}:{node.lineno}"


def test_the_migration_page_lists_every_moved_module(root: Path) -> None:
    page = (root / "docs" / "migration.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE))
    assert set(rows) == set(MODULES)
    for module, places in MODULES.items():
        assert re.findall(r"`([\w.]+)`", rows[module]) == list(places), module
    for module, names in NAMES.items():
        for name, place in names.items():
            assert f"`{module}.{name}`" in page and f"`{place.replace(':', '.')}`" in page
    for module, (names, _) in GONE.items():
        assert module == "cli" or set(names.split()) <= set(re.findall(r"\w+", page)), module
