"""docs/recipes.md says what the classes that check a recipe say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.run.recipe import Recipe


def test_the_page_is_up_to_date(root: Path) -> None:
    made = runpy.run_path(str(root / "docs" / "make_recipes.py"))["page"]()
    assert (root / "docs" / "recipes.md").read_text(encoding="utf-8") == made, "run: python docs/make_recipes.py"


def test_every_key_is_there_with_its_meaning(root: Path) -> None:
    text = (root / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    assert all(meaning for _, meaning in rows)
    keys = {field.alias or name for name, field in Recipe.model_fields.items() if not field.exclude}
    assert {name for name, _ in rows} >= keys | (set(ExpertSpec.__dataclass_fields__) - {"origin"})
