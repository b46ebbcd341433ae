"""A path is inside of a folder or not, told without a look outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.util.inside import is_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "real" / "folder"
    (made / "sub").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "alias").symlink_to(made)
    (made / "out").symlink_to(tmp_path / "other")
    (made / "up").symlink_to("../..")
    (made / "within").symlink_to("sub/../sub")
    (made / "absolute").symlink_to(made / "sub")
    (made / "aliased").symlink_to(tmp_path / "real" / "folder" / "within")
    (made / "a").symlink_to("b")
    (made / "b").symlink_to("a")
    (made / "sub" / "back").symlink_to("../out")
    return made


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("x", True), ("sub/x", True), ("sub/../x", True), ("", True), (".", True), ("missing/../x", True),
        ("..", False), ("../folder/x", False), ("sub/../../x", False), ("out", False), ("out/x", False),
        ("up/real/folder/x", False), ("within/x", True), ("absolute/x", True), ("aliased/x", True),
        ("a", False), ("sub/back/x", False), ("/", False), ("/dev/zero", False), ("x\0y", True), ("y" * 5000, True),
        ("{folder}/x", True), ("{folder}/../x", False), ("{folder}er/x", False), ("{folder}/out/x", False),
    ],
)  # fmt: skip
def test_paths_and_links(folder: Path, path: str, inside: bool) -> None:
    assert is_inside(path.format(folder=folder), folder) is inside


def test_a_folder_may_be_named_by_a_link(folder: Path) -> None:
    alias = folder.parents[1] / "alias"
    assert is_inside(alias / "x", alias) and is_inside(folder / "x", alias)
    assert not is_inside(alias / "out", alias) and not is_inside(alias / ".." / "x", alias)


@given(st.lists(st.sampled_from(["sub", "out", "up", "within", "absolute", "a", "..", ".", "x"]), max_size=8))
def test_it_says_what_the_system_would_say(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp() / "inside" / "folder"
    if not folder.exists():
        (folder / "sub").mkdir(parents=True)
        (folder / "out").symlink_to(tmp_path_factory.getbasetemp())
        (folder / "up").symlink_to("..")
        (folder / "within").symlink_to("sub/../sub")
        (folder / "absolute").symlink_to(folder / "sub")
        (folder / "a").symlink_to("a")
    path = folder.joinpath(*parts)
    if is_inside(path, folder):
        assert Path(os.path.realpath(path)).is_relative_to(folder)
