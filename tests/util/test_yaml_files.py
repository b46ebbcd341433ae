"""YAML that people write: what is wrong is said in one line, with the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from orxe_plugins import OrxeError
from orxe_plugins.util.yaml_files import parse_yaml, read_yaml


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_not_matter(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.yaml").write_bytes("name: größe\n".encode(encoding))
    assert read_yaml(tmp_path / "x.yaml") == {"name": "größe"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n\tc: 2\n", "line 3, column 1: a tab stands where YAML takes spaces only"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is given twice"),
        ("a:\n- {b: 1, c: 2, b: 3}\n", "line 2: the key 'b' is given twice"),
        ("a: [1, 2\n", "line 2, column 1: "),
        ("a: b: c\n", "line 1, column 5: mapping values are not allowed"),
        ("a: 2026-13-45\n", "month must be in 1..12"),
        ("? [a]\n: 1\n", "is not readable YAML: "),
        ("a: !!python/name:os.system\n", "line 1, column 4: could not determine a constructor"),
        ("a: *gone\n", "line 1, column 4: "),
        ("\x00", "is not readable YAML: "),
    ],
)
def test_a_problem_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(OrxeError) as caught:
        read_yaml(tmp_path / "x.yaml")
    assert message in str(caught.value) and "x.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: \xff\xfe\xfa")
    with pytest.raises(OrxeError, match="it is no text in UTF-8"):
        read_yaml(tmp_path / "x.yaml")
    with pytest.raises(OrxeError, match="experts file '.*' cannot be read: "):
        read_yaml(tmp_path, "experts file")


def test_merged_keys_may_be_replaced() -> None:
    assert parse_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\nc: {<<: *a, y: 4}\n", "it") == {
        "a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 4},
    }  # fmt: skip
    assert parse_yaml("", "it") is None
