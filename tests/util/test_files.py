"""Files are put in place whole, and names are ones that every file system takes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins.util.files import (
    distinct_name,
    remove_leftovers,
    safe_name,
    write_atomically,
    write_json,
    write_text,
)


def test_a_file_is_written_whole_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "grüße\n")
    assert path.read_text(encoding="utf-8") == "grüße\n"
    write_json(path, {"ü": [1, 2.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ü": [1, 2.5, None]}
    assert [one.name for one in path.parent.iterdir()] == ["text.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["text.txt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    write_text(path, "old")
    seen = []

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        seen.append(path.read_text())
        assert temporary.suffix == ".txt", "some writers look at the suffix"

    write_atomically(path, write)
    assert seen == ["old"] and path.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_has_the_mode_that_the_user_wants_for_new_files(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "text.txt", "")
        assert os.umask(umask) == umask, "the mask is as it was"
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "text.txt").stat().st_mode) == mode


def test_leftovers_of_killed_runs_are_removed_and_others_stay(tmp_path: Path) -> None:
    names = [".shard-00001.parquet.x1y2.tmp.parquet", ".dataset.json.abc.tmp.json", "shard-00001.parquet", ".lock"]
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "shard-*.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


@given(st.text())
def test_a_safe_name_holds_no_letter_that_a_file_system_refuses(text: str) -> None:
    name = safe_name(text)
    assert len(name) <= 80
    assert all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in name)
    assert not name.startswith((".", "_"))
    assert safe_name(name) == name.strip("._")


@given(st.lists(st.text(), unique=True, max_size=20))
def test_different_texts_have_different_names_whatever_is_replaced(texts: list[str]) -> None:
    assert len({distinct_name(text).casefold() for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("small", "small-81db8ebb"),
        ("timm:resnet18?input_size=224", "timm_resnet18_input_size_224-58257b85"),
        ("..a_b__c..", "a_b_c-739cc5ff"),
    ],
)
def test_names_are_those_of_version_0_1_so_that_its_records_are_found(name: str, folder: str) -> None:
    assert distinct_name(name) == folder
