"""Texts that no system can write are refused by name, or shown as escapes; nothing ends in a UnicodeEncodeError."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from orxe_plugins import Expert, ExpertSpec, OrxeError
from orxe_plugins.cli import console
from orxe_plugins.data.reading import image_files
from orxe_plugins.util.files import distinct_name, folder_name, write_json, write_text
from orxe_plugins.util.json_files import parse_json, read_json
from orxe_plugins.util.texts import check_name, check_texts, encoded, printable
from orxe_plugins.util.yaml_files import parse_yaml

ANY_TEXT = st.text(st.characters(), max_size=12)  # halves of pairs and control characters among them


@given(text=ANY_TEXT)
def test_any_text_can_be_shown_hashed_and_made_a_name(text: str) -> None:
    shown = printable(text)
    assert shown.encode() and not set(shown) & set("\0\x1b\x7f\r") if text else shown == ""
    assert shown == printable(shown)
    assert distinct_name(text).isascii() and folder_name(text).encode()


@given(one=ANY_TEXT, other=ANY_TEXT)
def test_different_texts_have_different_bytes(one: str, other: str) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)


@given(text=ANY_TEXT)
def test_any_text_is_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "texts" / "it.json"
    write_json(path, {"key": text})
    assert json.loads(path.read_bytes()) == {"key": text}
    write_text(path.with_suffix(".txt"), text)
    assert path.with_suffix(".txt").read_bytes().decode() == text.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("bad", ["\0", "\ud800", "x\udce9"])
def test_a_text_that_no_file_can_hold_is_refused_with_its_key(tmp_path: Path, bad: str) -> None:
    (tmp_path / "it.json").write_text(json.dumps({"experts": [{"name": bad}]}))
    with pytest.raises(OrxeError, match=r"it\.json: experts\[0\]\.name is .* cannot stand in a text"):
        read_json(tmp_path / "it.json")
    with pytest.raises(OrxeError, match=r"it: a key in a is .* cannot stand in a text"):
        parse_json(json.dumps({"a": {bad: 1}}), "it")
    with pytest.raises(OrxeError, match=r"it: the content is .* cannot stand in a text"):
        check_texts(bad, "it")
    with pytest.raises(OrxeError, match="cannot stand in a text|is not readable YAML"):
        parse_yaml(json.dumps({"a": bad}), "it")
    with pytest.raises(OrxeError, match="it is not readable YAML: .* cannot stand in a text"):
        parse_yaml(f"a: {bad}", "it")
    with pytest.raises(OrxeError, match="checkpoint is .* cannot stand in a text"):
        ExpertSpec.from_dict({"address": "timm:x", "checkpoint": bad})


def test_texts_that_only_look_like_such_are_read() -> None:
    text = '{"a": "\\ud83d\\ude00 \\\\ud800 \\u00e9", "b": ["\\\\u0000"]}'
    assert parse_json(text, "it") == {"a": "😀 \\ud800 é", "b": ["\\u0000"]}


@pytest.mark.parametrize("bad", ["a\nb", "\x1b[2J", "a\0", "\ud800", "\u2028"])
def test_a_name_holds_no_control_character(bad: str) -> None:
    with pytest.raises(OrxeError, match="the name is .* cannot stand in a name"):
        check_name("the name", bad)
    with pytest.raises(OrxeError, match="name is .* cannot stand in a name"):
        ExpertSpec.from_dict({"address": "timm:x", "name": bad})
    with pytest.raises(OrxeError, match="name is .* cannot stand in a name"):
        Expert(bad, torch.nn.Identity())


def test_nothing_that_is_printed_takes_over_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    odd = "caf\udce9 \x1b[2J\x07 \x9b31m"
    console.tell(odd)
    table = Table(odd)
    table.add_row(odd)
    console.out.print(table)
    console.say(odd)
    with pytest.raises(SystemExit), console.friendly_errors():
        raise OrxeError(odd)
    for written in capfd.readouterr():
        assert "\\x1b[2J" in written and not set(written) & set("\x1b\x07\x9b")


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX")
def test_a_folder_whose_name_is_no_utf8_is_left_out_as_a_whole(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    for place in (folder, tmp_path / "sound"):
        place.mkdir()
        (place / "a.png").write_bytes(b"1")
    listed = image_files(tmp_path)
    assert listed.images == ("sound/a.png",)
    assert listed.notes() == ("1 of 2 files is left out (name is no valid UTF-8): caf\\udce9",)
