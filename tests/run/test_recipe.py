from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orxe_plugins import OrxeError
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recipe_folders import recipe_names

RAW = {
    "name": "mine",
    "data": {"root": "{data}/val"},
    "experts": [
        {"address": "timm:resnet10t", "checkpoint": "{out}/experts/a.safetensors"},
        {"address": "timm:resnet18"},
    ],
}


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "recipe.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(RAW))
    return path


def test_places_are_filled_in_and_values_changed(recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(
        recipe_file,
        out=tmp_path / "out",
        data=Path("images"),
        overrides=["data.split.fit=0.25", "preferences={start: 0.2, stop: 1, step: 0.4}", "select_pool.k=1"],
    )
    assert recipe.data.root == "images/val"
    assert recipe.experts[0].checkpoint == f"{tmp_path}/out/experts/a.safetensors"
    assert recipe.data.split.fit == 0.25
    assert recipe.preferences == [0.2, 0.6, 1.0]
    assert recipe.select_pool is not None and recipe.select_pool.k == 1
    assert recipe.folder == recipe_file.parent


def test_an_entry_of_a_list_is_named_by_its_name_or_number(recipe_file: Path, tmp_path: Path) -> None:
    shared = "experts:\n- {name: a, address: 'timm:x', options: &o {k: 1}}\n- {address: 'timm:y', options: *o}\n"
    recipe_file.write_text(f"name: mine\ndata: {{root: there}}\n{shared}")
    overrides = ["experts.a.options.k=2", "experts.1.checkpoint=y.pth"]
    first, second = load_recipe(recipe_file, out=tmp_path, overrides=overrides).experts
    assert first.options == {"k": 2}
    assert second.options == {"k": 1}, "an override of one expert leaves the others"
    assert second.checkpoint == "y.pth"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("experts.2.checkpoint=x", "unknown entry in 'experts.2.checkpoint=x': '2': known are 0, 1"),
        ("name.first=x", "'first' is a key inside of 'mine', which has no keys"),
        ("data.split.fit=2", "data.split.fit is 2"),
        ("datta.root=x", "unknown key 'datta'"),
        ("preferences=[0.5, 1.5]", "preference is 1.5"),
        ("preferences=[]", "no preference is given"),
        ("path=sideways", "path is 'sideways'"),
        ("name", "expected key=value"),
        ("record.batch_size=0", "record.batch_size is 0"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(recipe_file: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        load_recipe(recipe_file, out=tmp_path, data=Path("x"), overrides=[override])


def test_a_recipe_that_needs_data_says_so(recipe_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="add --data FOLDER"):
        load_recipe(recipe_file, out=tmp_path)


def test_an_unknown_recipe_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="unknown recipe 'digit': did you mean 'digits'"):
        load_recipe("digit", out=tmp_path)


@pytest.mark.parametrize("name", sorted(recipe_names()))
def test_every_recipe_of_the_project_can_be_read(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name, out=tmp_path, data=tmp_path)
    assert recipe.name == name
    assert (recipe.folder / "README.md").is_file()
    assert recipe.description
