"""What users import: the package and one level below it, each name only when it is used."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import orxe_plugins
from orxe_plugins._moved import MODULES
from orxe_plugins.confidence.names import BUILT_IN as CONFIDENCES
from orxe_plugins.tasks.names import BUILT_IN as TASKS

ROOT = Path(orxe_plugins.__file__).resolve().parent
LAZY = sorted(
    path.parent.relative_to(ROOT.parent).as_posix().replace("/", ".")
    for path in ROOT.rglob("__init__.py")
    if "lazy_names(" in path.read_text(encoding="utf-8")
)
#: what everything in the documentation is made of
PROMISED = {
    *("Answers", "Cascade", "ClassifierExpert", "ConfidenceProvider", "Detections", "DetectorExpert", "Expert"),
    *("ExpertSpec", "ImageView", "OrxeError", "Policy", "PolicyRow", "PolicyTable", "Records", "Route", "Task"),
    *("evaluate", "fit_policies", "load_cascade", "load_expert", "load_records", "record", "register_confidence"),
    *("register_task", "replay", "save_cascade", "select_pool", "select_saver"),
    *("frontier_figure", "saver_figure", "shares_figure"),
}
HEAVY = {"torch", "scipy", "pydantic", "numba", "matplotlib", "pyarrow", "numpy"}


def for_checkers(package: str) -> dict[str, str]:
    """Name -> module of what a package's file imports for type checkers."""
    tree = ast.parse((ROOT.parent / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
    return dict(_names(block.body))


def eager(package: str) -> dict[str, str]:
    """Name -> module of what a package's file imports at once, from itself."""
    tree = ast.parse((ROOT.parent / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    found = {name: place for name, place in _names(tree.body) if place.startswith(f"{package}.")}
    return {name: place for name, place in found.items() if package != ROOT.name and name != "lazy_names"}


def _names(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in statements:
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.name, str(node.module)) for alias in node.names)


def imported(program: str) -> set[str]:
    """Top-level packages that a fresh Python has imported after a program."""
    code = f"{program}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def command(*arguments: str) -> str:
    """A program that runs the command."""
    return (
        f"import sys\nsys.argv = ['orxe', *{list(arguments)}]\nfrom orxe_plugins.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    )


def test_every_package_of_many_names_is_lazy() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"cli"}
    assert {f"orxe_plugins.{name}" for name in packages} | {"orxe_plugins"} == set(LAZY)


@pytest.mark.parametrize("package", LAZY)
def test_the_table_the_list_and_what_type_checkers_see_agree(package: str) -> None:
    module = importlib.import_module(package)
    places = vars(module)["_PLACES"]
    assert for_checkers(package) == places
    assert sorted(module.__all__) == sorted({**places, **eager(package)})
    assert set(dir(module)) >= {*module.__all__, "__doc__", "__all__"}
    for name, place in places.items():
        assert getattr(module, name) is getattr(importlib.import_module(place), name)
        assert place.startswith(f"{package}.") or package in ("orxe_plugins", "orxe_plugins.records")


@pytest.mark.parametrize("package", LAZY)
def test_no_lazy_name_can_be_hidden_by_a_module(package: str) -> None:
    """An import of ``package.name`` puts that module into the package, in the place of anything of that name."""
    folder = ROOT.parent / package.replace(".", "/")
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    inner = f"{package}.".partition(".")[2]
    old = {name.removeprefix(inner) for name in MODULES if name.startswith(inner)}
    assert not set(vars(importlib.import_module(package))["_PLACES"]) & (modules | old)


def test_the_face_offers_what_the_documentation_uses() -> None:
    assert set(orxe_plugins.__all__) >= PROMISED
    assert set(orxe_plugins.__all__) <= set(dir(orxe_plugins))
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} <= set(dir(orxe_plugins))


def test_packages_are_there_without_an_import_of_their_own() -> None:
    program = (
        "import orxe_plugins\nassert orxe_plugins.search.replay is orxe_plugins.replay\norxe_plugins.esn.ExitNetwork"
    )
    assert "torch" in imported(program)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="'orxe_plugins' has no attribute 'cascades'"):
        orxe_plugins.cascades
    with pytest.raises(ImportError, match="nothing"):
        from orxe_plugins.search import nothing  # noqa: F401


def test_importing_the_face_imports_nothing_heavy() -> None:
    assert not imported("import orxe_plugins") & HEAVY


@pytest.mark.parametrize(
    "package", [name for name in LAZY if name not in ("orxe_plugins.search", "orxe_plugins.evaluation")]
)
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    assert not imported(f"import {package}") & HEAVY


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["list"], ["list", "tasks"]])
def test_the_command_answers_about_itself_without_torch(arguments: list[str]) -> None:
    assert not imported(command(*arguments)) & (HEAVY - {"pydantic"})  # typer may use pydantic


def test_the_version_is_printed() -> None:
    done = subprocess.run([sys.executable, "-c", command("--version")], capture_output=True, text=True, check=True)
    assert done.stdout == f"orxe_plugins {orxe_plugins.__version__}\n"


def test_help_says_whole_sentences_on_eighty_columns() -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    call = [sys.executable, "-c", command("--help")]
    text = subprocess.run(call, capture_output=True, text=True, check=True, env=environment).stdout
    commands = text.partition("Commands:\n")[2].splitlines()
    assert len(commands) > 8
    assert all(len(line) <= 80 and line.endswith(".") and not line.endswith("...") for line in commands), text


@pytest.mark.parametrize(("folder", "built_in"), [("confidence", CONFIDENCES), ("tasks", TASKS)])
def test_names_that_are_read_without_an_import_are_those_of_the_decorators(
    folder: str, built_in: dict[str, str]
) -> None:
    found = {}
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for call in node.decorator_list if isinstance(node, ast.ClassDef) else []:
                if isinstance(call, ast.Call) and getattr(call.func, "id", "").startswith("register_"):
                    assert isinstance(call.args[0], ast.Constant)
                    found[call.args[0].value] = f"orxe_plugins.{folder}.{path.stem}"
    assert found == built_in
