"""The documentation's figures come from their files, its links lead somewhere, its programs import what is there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

PAGES = ("*.md", "docs/*.md", "docs/figures/*.md", "recipes/*.md", "recipes/*/*.md", "benchmarks/*.md", "examples/*.md")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
_FILE = re.compile(r"\b(?:orxe_plugins|adapters|recipes|tests|benchmarks|docs)/[\w/]+\.(?:py|md|yaml)\b")
#: names of entry points, not of modules
_GROUPS = ("orxe_plugins.adapters", "orxe_plugins.tasks")


@pytest.fixture(scope="module")
def pages(root: Path) -> list[Path]:
    return sorted(path for pattern in PAGES for path in root.glob(pattern))


def test_the_readme_quotes_the_report_of_the_demo(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_figures", root / "docs" / "make_figures.py")
    assert spec is not None and spec.loader is not None
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    quoted = figures.quote((root / "docs" / "figures" / "digits.md").read_text(encoding="utf-8"))
    assert quoted.count("\n|") >= 5
    assert quoted in (root / "README.md").read_text(encoding="utf-8")


def test_every_link_leads_to_a_file(pages: list[Path]) -> None:
    lost = [
        f"{page.name}: {target}"
        for page in pages
        for target in _LINK.findall(page.read_text(encoding="utf-8"))
        if not target.startswith(("http://", "https://", "mailto:")) and not (page.parent / target).exists()
    ]
    assert not lost


def test_every_program_can_be_read(pages: list[Path]) -> None:
    for page in pages:
        for program in _PROGRAM.findall(page.read_text(encoding="utf-8")):
            ast.parse(program, filename=str(page))


def test_every_target_of_make_that_is_named_exists(root: Path, pages: list[Path]) -> None:
    help_text = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in help_text.splitlines()}
    assert {"demo", "test", "check", "bench", "figures"} <= targets
    named = {name for page in pages for name in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))}
    assert named <= targets


@pytest.fixture(scope="module")
def programs(root: Path, pages: list[Path]) -> dict[str, str]:
    """Where it stands -> text of every program that users read or copy."""
    found = {
        f"{page.relative_to(root)}, program {i}": program
        for page in pages
        for i, program in enumerate(_PROGRAM.findall(page.read_text(encoding="utf-8")))
    }
    for path in [*root.glob("recipes/*/*.py"), *root.glob("examples/*.py")]:
        found[str(path.relative_to(root))] = path.read_text(encoding="utf-8")
    return found


def test_programs_import_from_one_level_and_what_is_there(programs: dict[str, str]) -> None:
    modules = set()
    for where, program in programs.items():
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.Import):
                places = [(alias.name, "") for alias in node.names]
            else:
                places = [(node.module or "", a.name) for a in node.names] if isinstance(node, ast.ImportFrom) else []
            for module, name in places:
                if module.startswith("orxe_"):
                    modules.add(module)
                    assert module.count(".") <= (module.startswith("orxe_plugins")), f"{where} imports from {module}"
                if module.partition(".")[0] == "orxe_plugins" and name:
                    offered = importlib.import_module(module)
                    assert name in offered.__all__, f"{where}: {module} does not offer {name}"
    assert len(modules) > 8


def test_names_and_files_in_the_text_are_there(root: Path, pages: list[Path]) -> None:
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if page.name in ("CHANGELOG.md", "migration.md"):
            continue
        lost = [file for file in _FILE.findall(text) if not (root / file).exists()]
        assert not lost, f"{page.name} names {', '.join(lost)}"
        for name in set(re.findall(r"(?<![/\w])orxe_plugins(?:\.\w+)+", text)) - {*_GROUPS}:
            parts = name.split(".")
            assert len(parts) <= 3, f"{page.name} names {name}, which lies deeper than one level"
            found = importlib.import_module("orxe_plugins")
            for part in parts[1:]:
                found = getattr(found, part)
