"""The documentation's figures come from their files, its links lead somewhere, and its programs are whole."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

PAGES = ("*.md", "docs/*.md", "docs/figures/*.md", "recipes/*.md", "recipes/*/*.md", "benchmarks/*.md")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


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
        for program in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            ast.parse(program, filename=str(page))


def test_every_target_of_make_that_is_named_exists(root: Path, pages: list[Path]) -> None:
    help_text = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in help_text.splitlines()}
    assert {"demo", "test", "check", "bench", "figures"} <= targets
    named = {name for page in pages for name in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))}
    assert named <= targets
