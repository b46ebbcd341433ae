"""Small files that ask for much, and files that the system does not hand out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orxe_plugins import OrxeError
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.errors import OrxeFileError
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.util.files import remove_leftovers, write_text
from orxe_plugins.util.json_files import read_json
from orxe_plugins.util.yaml_files import read_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (BOMB, "holds more than 200,000 values, counting those of its aliases"),
        ("a: &a [1, *a]\n", "line 1: an alias stands inside of what it names"),
        ("a: " + "[" * 300 + "]" * 300, "nested too deeply"),
        ("x" * 3_000_000, "expected at most 524,288"),
    ],
)
def test_yaml_that_grows_is_refused_at_once(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    start = time.perf_counter()
    with pytest.raises(OrxeError, match=match):
        read_yaml(tmp_path / "recipe.yaml")
    with pytest.raises(OrxeError, match=match):
        load_recipe(tmp_path, out=tmp_path)
    assert time.perf_counter() - start < 30  # not minutes; no measurement


def test_yaml_with_aliases_that_do_not_grow_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a [1, 2]\nb: *a\nc: {<<: &m {x: 1}, y: *a}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1, 2], "b": [1, 2], "c": {"x": 1, "y": [1, 2]}}


RECIPE = "name: r\ndata: {root: images}\nexperts: [timm:resnet18]\n"


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("preferences: {stop: 1000000, step: 0.1}", "stop is 1000000"),
        ("preferences: {step: 0.000000001}", "preferences are asked for: expected at most 10,001"),
        ("preferences: {step: .nan}", "step"),
        ("record: {batch_size: 99999999999}", "batch_size"),
        ("record: {batch_size: '8'}", "expected a number; write it without quotes"),
        ("max_params: .inf", "max_params"),
        ("regulariser: {alpha: .nan}", "alpha"),
    ],
)
def test_ranges_of_a_recipe_are_bounded(tmp_path: Path, line: str, match: str) -> None:
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}{line}\n")
    with pytest.raises(OrxeError, match=match):
        load_recipe(tmp_path, out=tmp_path)


@pytest.mark.parametrize("kind", ["folder", "broken link", "circle", "not UTF-8", "deep", "digits"])
def test_a_json_file_that_cannot_be_read_is_one_line_with_its_path(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.json"
    if kind == "folder":
        path.mkdir()
    elif kind in ("broken link", "circle"):
        path.symlink_to(path if kind == "circle" else tmp_path / "gone")
    else:
        path.write_bytes({"not UTF-8": b'{"a": "\xff"}', "deep": b"[" * 99999, "digits": b"9" * 9999}[kind])
    for read in (read_json, read_yaml):
        if read is read_yaml and kind == "digits":
            continue  # a number for it
        with pytest.raises(OrxeError, match=r"a\.json") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OrxeFileError, match=r"file/a\.txt cannot be written: .*") as error:
        write_text(tmp_path / "file" / "a.txt", "x")
    assert isinstance(error.value, OSError)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    from orxe_plugins.util.files import write_atomically

    def fill(temporary: Path) -> None:
        with open("/dev/full", "w") as file:  # noqa: PTH123
            file.write("x" * 100_000)

    with pytest.raises(OrxeFileError, match=r"a\.txt cannot be written: No space left"):
        write_atomically(tmp_path / "a.txt", fill)
    assert list(tmp_path.iterdir()) == []


def test_links_in_circles_among_class_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(OrxeError, match="circle is a link to nothing"):
        ImageFolder(tmp_path)
    with pytest.raises(OrxeError, match="is not a folder"):
        ImageFolder(tmp_path / "circle")


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    living = os.getppid()
    for process in (dead.pid, living):
        (tmp_path / f".frontier.svg.{process}-x1_y.tmp.svg").write_text("")
    (tmp_path / ".frontier.svg.abc.tmp.svg").write_text("")  # of an older release
    (tmp_path / ".hidden").write_text("")
    remove_leftovers(tmp_path, "*")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".frontier.svg.{living}-x1_y.tmp.svg", ".hidden"]
