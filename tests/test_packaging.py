"""What `pip install orxe-plugins` brings."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ADAPTERS = ("orxe_timm", "orxe_torchvision", "orxe_ultralytics", "orxe_mmdet")


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def files_of(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_core_the_adapters_and_the_recipes(root: Path, wheel: zipfile.ZipFile) -> None:
    expected = {f"orxe_plugins/{name}" for name in files_of(root / "orxe_plugins")}
    expected |= {f"{adapter}/{name}" for adapter in ADAPTERS for name in files_of(root / "adapters" / adapter)}
    expected |= {f"orxe_plugins/recipes/{name}" for name in files_of(root / "recipes")}
    there = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert there == expected
    assert {f"{package}/py.typed" for package in ("orxe_plugins", *ADAPTERS)} <= there
    assert "orxe_plugins/recipes/digits/recipe.yaml" in there and "orxe_plugins/recipes/digits/prepare.py" in there


def test_what_is_in_the_wheel_works_from_there(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import orxe_plugins, orxe_timm\n"
        "from orxe_plugins.run import recipe_names\n"
        "print(orxe_plugins.__file__, orxe_timm.__file__, *recipe_names().values(), sep='\\n')"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    places = done.stdout.splitlines()
    assert len(places) > 6
    assert all(Path(place).is_relative_to(tmp_path) for place in places)


def test_the_metadata_names_the_command_and_the_adapters(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(entry_points).decode()
    assert "orxe = orxe_plugins.cli:main" in text
    assert all(f"{adapter.removeprefix('orxe_')} = {adapter}" in text for adapter in ADAPTERS)


def test_the_extras_are_those_that_errors_and_the_readme_speak_of(project: dict) -> None:
    extras = project["optional-dependencies"]
    assert {"timm", "torchvision", "ultralytics", "mmdet", "all", "dev"} <= set(extras)
    (everything,) = extras["all"]
    inner = everything.partition("[")[2].rstrip("]").split(",")
    # The fork of mmdetection has modules of the same names as mmdetection: nobody can have both. Ray is for clusters.
    assert set(inner) == set(extras) - {"all", "dev", "docs", "mmdet-onedl", "ray"}
    assert "orxe-plugins[all,docs]" in extras["dev"]


def test_every_pinned_version_satisfies_what_is_asked_for(root: Path, project: dict) -> None:
    packaging = pytest.importorskip("packaging.requirements")
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    pinned = {name.lower().replace("_", "-"): version for name, version in pairs}
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    for requirement in map(packaging.Requirement, asked):
        name = requirement.name.lower().replace("_", "-")
        if name in ("orxe-plugins", "setuptools"):
            continue
        assert name in pinned, f"{name} is not pinned in constraints.txt"
        assert requirement.specifier.contains(pinned[name].partition("+")[0]), f"{requirement} is not {pinned[name]}"


def test_every_source_file_is_python_3_10(root: Path) -> None:
    for folder in ("orxe_plugins", "adapters", "recipes", "benchmarks", "docs", "examples"):
        for path in (root / folder).rglob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 10))
