"""The recipe's own Python files: prepare and plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orxe_plugins import OrxeError
from orxe_plugins.records import load_records
from orxe_plugins.run.preparing import prepare
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run

MakeRun = Callable[..., Run]
OwnRecipe = Callable[..., Path]


def test_a_file_beside_the_recipe_that_is_not_there_is_named(
    make_run: MakeRun, own_recipe: OwnRecipe, tmp_path: Path
) -> None:
    recipe = own_recipe(tmp_path / "own", prepare="nowhere.py")
    with pytest.raises(OrxeError, match=r"names .*nowhere\.py' as its prepare, which is not a Python file"):
        prepare(make_run(recipe, tmp_path / "out"))


def test_a_package_that_a_recipe_needs_is_named(make_run: MakeRun, own_recipe: OwnRecipe, tmp_path: Path) -> None:
    recipe = own_recipe(tmp_path / "own", name="needy", prepare="prepare.py")
    (recipe / "prepare.py").write_text("import no_such_package.part\n")
    for _ in range(2):
        with pytest.raises(OrxeError, match="recipe 'needy' needs the Python package 'no_such_package'") as caught:
            prepare(make_run(recipe, tmp_path / "out"))
    assert str(caught.value).splitlines()[-1] == 'pip install "orxe-plugins[all]"'


def test_a_recipes_own_prepare_and_plugin_are_run(make_run: MakeRun, own_recipe: OwnRecipe, tmp_path: Path) -> None:
    recipe = own_recipe(
        tmp_path / "own", name="planned", prepare="prepare.py", prepare_options={"word": "done"},
        plugin="plugin.py", confidence={"kind": "always_half"},
    )  # fmt: skip
    (recipe / "prepare.py").write_text(
        "def prepare(recipe, out, progress, word):\n"
        "    out.mkdir(exist_ok=True)\n    (out / 'note').write_text(recipe.name + word)\n"
    )
    (recipe / "plugin.py").write_text(
        "import torch\nfrom orxe_plugins.confidence import register_confidence\n"
        "from orxe_plugins.confidence.provider import ConfidenceProvider\n\n"
        "@register_confidence('always_half')\nclass Half(ConfidenceProvider):\n"
        "    def forward(self, outputs, features=None):\n        return torch.full((len(outputs),), 0.5)\n"
    )
    run = make_run(recipe, tmp_path / "out", "data.limit=6")
    prepare(run)
    record_pool(run)
    assert (tmp_path / "out" / "note").read_text() == "planneddone"
    assert (load_records(tmp_path / "out" / "records").confidence == 0.5).all()
