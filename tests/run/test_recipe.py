from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orxe_plugins import OrxeError
from orxe_plugins.run.recipe_file import load_recipe, recipe_out
from orxe_plugins.run.recipe_folders import claim_folder, recipe_names

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
        ("experts.0.weights=x.pth", r"unknown key 'weights' in experts\[0\]: did you mean 'checkpoint'\?"),
        ("experts.1.optoins={}", r"unknown key 'optoins' in experts\[1\]: did you mean 'options'\?"),
        ("data.split.fitt=1", r"unknown key 'fitt' in data.split: did you mean 'fit'\?"),
        ("cost.kid=latency", r"unknown key 'kid' in cost: did you mean 'kind'\?"),
        ("promise={max_dorp: 0.1}", r"unknown key 'max_dorp' in promise\[0\]: did you mean 'max_drop'\?"),
        ("modles=[]", "unknown key 'modles'"),
        ("dataset={root: x}", r"unknown key 'dataset': did you mean 'data'\?"),
        ("folder=x", "unknown key 'folder'"),
        ("name=3", "name is 3: expected a text"),
        ("experts=[]", "experts"),
        ("experts=resnet18", r"experts is 'resnet18': expected a list of experts, such as \[timm:resnet18"),
        ("experts=[3]", r"experts\[0\] is 3: expected keys with values"),
        ("data=null", "data is empty: expected keys with values"),
        ("data.limit=yes", "data.limit is True: expected no true or false"),
        ("data.split.seed=1.5", "data.split.seed is 1.5: expected a whole number"),
        ("skip_gates=perhaps", "skip_gates is 'perhaps': expected true or false"),
        ("data={root: a, root: b}", "the key 'root' is given twice"),
        ("data.root=[a", "the value in 'data.root=\\[a' is not readable YAML"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(recipe_file: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(OrxeError, match=message) as caught:
        load_recipe(recipe_file, out=tmp_path, data=Path("x"), overrides=[override])
    assert "\n" not in str(caught.value)


def test_the_shortest_recipe_has_plain_texts_as_experts_and_its_files_name(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "data: {root: there}\nexperts: [timm:resnet18, 'timm:resnet50?num_classes=3']\n"
    )
    recipe = load_recipe(tmp_path / "mine.yaml", out=tmp_path)
    assert recipe.name == "mine"
    assert [expert.address for expert in recipe.experts] == ["timm:resnet18", "timm:resnet50?num_classes=3"]
    single = load_recipe(tmp_path / "mine.yaml", out=tmp_path, overrides=["experts=timm:resnet18"])
    assert [expert.address for expert in single.experts] == ["timm:resnet18"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "mine.yaml").rename(tmp_path / "folder" / "recipe.yaml")
    assert load_recipe(tmp_path / "folder", out=tmp_path).name == "folder"


def test_results_lie_under_the_recipes_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("data: {root: there}\nexperts: [timm:resnet18]\n")
    assert recipe_out(tmp_path / "one.yaml") == Path("runs/one")
    assert recipe_out(tmp_path / "two.yaml") == Path("runs/two")
    assert recipe_out(tmp_path / "two.yaml", ["name=three"]) == Path("runs/three")
    assert recipe_out("digits") == Path("runs/digits")
    odd = recipe_out(tmp_path / "one.yaml", ["name=../../up"])
    assert odd.parent == Path("runs") and ".." not in odd.parts


def test_two_recipes_of_one_name_do_not_share_a_folder(tmp_path: Path) -> None:
    first, second, moved = (tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml"))
    first.write_text("name: mine")
    second.write_text("name: mine")
    out = tmp_path / "runs" / "mine"
    claim_folder(out, first)
    claim_folder(out, first)
    with pytest.raises(OrxeError, match=r"holds results of .*a\.yaml, but this is .*b\.yaml: give one of them a name"):
        claim_folder(out, second)
    first.rename(moved)
    claim_folder(out, moved)


def test_a_folder_without_a_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match=r"holds no recipe\.yaml: name the recipe's file"):
        load_recipe(tmp_path, out=tmp_path)


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
