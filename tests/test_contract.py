"""The contract that keeps imports in order: ``lint-imports``, which ``make check`` runs, and the structure itself."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("importlinter")

ORDER = "In the core, an import never runs back up the list of packages"
CORE = "The core imports no framework"
ADAPTERS = "An adapter imports the core, never another adapter"


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree; not to be changed."""
    folder = tmp_path_factory.mktemp("copy")
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "orxe_plugins", folder / "orxe_plugins", ignore=skip)
    shutil.copytree(root / "adapters", folder / "adapters", ignore=skip)
    shutil.copy(root / "pyproject.toml", folder)
    return folder


@pytest.fixture
def tree(copy: Path, tmp_path: Path) -> Path:
    """A copy for one test alone."""
    return shutil.copytree(copy, tmp_path / "tree")


@pytest.fixture(scope="module")
def structure(root: Path) -> ModuleType:
    """``tests/structure.py``."""
    spec = importlib.util.spec_from_file_location("structure", root / "tests" / "structure.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["structure"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def lint(tree: Path) -> tuple[bool, set[str], str]:
    """Whether ``lint-imports`` passes in a tree, which contracts are broken, and what it printed."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    path = os.pathsep.join([str(tree), str(tree / "adapters")])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    command = [sys.executable, "-c", program, "--no-cache"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    broken = {line.removesuffix(" BROKEN") for line in done.stdout.splitlines() if line.endswith(" BROKEN")}
    return done.returncode == 0, broken, done.stdout + done.stderr


def test_the_contract_holds(copy: Path) -> None:
    passes, broken, text = lint(copy)
    assert passes and not broken, text
    assert re.search(r"[1-9]\d* kept, 0 broken", text), text


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("orxe_plugins/cost/macs.py", "from orxe_plugins.experts.expert import Expert", ORDER),
        pytest.param(
            "orxe_plugins/records/store.py",
            "def late():\n    from orxe_plugins import search",
            ORDER,
            marks=pytest.mark.long,
        ),
        pytest.param("orxe_plugins/errors.py", "import orxe_plugins.util.files", ORDER, marks=pytest.mark.long),
        pytest.param(
            "orxe_plugins/data/views.py", "from orxe_plugins import fit_policies", ORDER, marks=pytest.mark.long
        ),
        pytest.param("orxe_plugins/extra/__init__.py", "", ORDER, marks=pytest.mark.long),
        ("orxe_plugins/data/images.py", "import timm", CORE),
        pytest.param(
            "orxe_plugins/cli/execute.py", "def late():\n    from ultralytics import YOLO", CORE, marks=pytest.mark.long
        ),
        ("adapters/orxe_timm/views.py", "from orxe_torchvision import weights", ADAPTERS),
        pytest.param("orxe_plugins/run/check.py", "import orxe_mmdet", ADAPTERS, marks=pytest.mark.long),
        pytest.param(
            "adapters/orxe_timm/lite.py",
            "import torchvision",
            "orxe_timm imports no framework but timm",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_planted_import_breaks_it(tree: Path, file: str, line: str, contract: str) -> None:
    place = tree / file
    place.parent.mkdir(exist_ok=True)
    with place.open("a", encoding="utf-8") as out:
        out.write(f"\n\n{line}\n")
    passes, broken, text = lint(tree)
    assert not passes
    assert contract in broken, text


def test_make_check_asks_for_it(root: Path) -> None:
    done = subprocess.run(["make", "-n", "check"], cwd=root, capture_output=True, text=True, check=True)
    assert "lint-imports" in done.stdout


def test_no_arrow_between_packages_runs_back_up_and_none_in_a_circle(root: Path, structure: ModuleType) -> None:
    seen = structure.read(root)
    assert len(seen.order) > 15 and set(seen.order) <= set(seen.rooms)
    assert not seen.upward and not seen.circles


def test_the_core_imports_names_from_the_modules_that_define_them(root: Path) -> None:
    """Packages offer names to users; inside of the core, an import says which file to open."""
    folder = root / "orxe_plugins"
    packages = {".".join(path.parent.relative_to(root).parts) for path in folder.rglob("__init__.py")}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if path.name != "__init__.py" and isinstance(node, ast.ImportFrom) and node.module in packages:
                place = root / node.module.replace(".", "/")
                names = [a.name for a in node.names if not (place / f"{a.name}.py").exists()]
                assert set(names) <= {"__version__"}, f"{path}:{node.lineno} imports {names} from a package"


def test_the_structure_script_sees_arrows_circles_and_chains(tmp_path: Path, structure: ModuleType) -> None:
    files = {
        "__init__.py": "from orxe_plugins.low.tools import Tool",
        "low/__init__.py": "from orxe_plugins.low.tools import Tool",
        "low/tools.py": "def late():\n    from orxe_plugins.high import work",
        "middle.py": "from orxe_plugins.low import Tool",
        "high.py": "import orxe_plugins.middle",
        "alone.py": "import os\n" * 300,
    }
    for name, text in files.items():
        path = tmp_path / "orxe_plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "adapters" / "orxe_one").mkdir(parents=True)
    (tmp_path / "adapters" / "orxe_one" / "__init__.py").write_text("")
    (tmp_path / "adapters" / "orxe_one" / "front.py").write_text("from orxe_plugins.alone import os")
    (tmp_path / "pyproject.toml").write_text('containers = ["orxe_plugins"]\nlayers = ["high", "middle", "low"]')
    seen = structure.read(tmp_path)
    assert seen.arrows == [("high", "middle"), ("low", "high"), ("middle", "low"), ("orxe_one", "alone")]
    assert seen.upward == [("low", "high")]
    assert seen.circles == [["high", "low", "middle"]]
    assert "orxe_plugins.low.tools" in seen.modules["orxe_plugins.middle"]
    assert seen.long_files == {"orxe_plugins/alone.py": 300}
    assert structure.longest_chain({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == ["a", "b", "c"]
