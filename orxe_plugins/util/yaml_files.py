"""Reading YAML that people write: what is wrong with it is said in one line, with the place."""

from __future__ import annotations

import codecs
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from orxe_plugins.errors import OrxeError

_MERGE = "tag:yaml.org,2002:merge"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_yaml(path: str | Path, what: str = "") -> Any:
    """What a YAML file holds, as plain values.

    Args:
        path: the file, in UTF-8 or UTF-16, with or without a byte order mark.
        what: what messages call the file, as "experts file".

    Raises:
        OrxeError: the file cannot be read, is not YAML, or gives a key twice.
    """
    label = f"{what} {str(path)!r}" if what else str(path)
    try:
        data = Path(path).read_bytes()
        text = data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except OSError as error:
        raise OrxeError(f"{label} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        problem = f"it is no text in UTF-8 ({error.reason} at byte {error.start})"
        raise OrxeError(f"{label} cannot be read: {problem}") from error
    return parse_yaml(text, label)


def parse_yaml(text: str, label: str) -> Any:
    """The same for a text.

    Args:
        text: in YAML.
        label: what messages call it.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        twice = None if node is None else next(_given_twice(node), None)
        if twice is None:
            return yaml.safe_load(text)
    except RecursionError as error:
        raise OrxeError(f"{label} is not readable YAML: it is nested too deeply") from error
    # A ValueError is a date that there is not, a TypeError a list as a key.
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise OrxeError(f"{label} is not readable YAML: {_one_line(error, text)}") from error
    key, mark = twice
    raise OrxeError(f"{label}, line {mark.line + 1}: the key {key!r} is given twice: leave out one of them")


def _given_twice(root: yaml.Node) -> Iterator[tuple[Any, yaml.Mark]]:
    """Keys that stand twice in one mapping, of which YAML would silently take the last."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        if not isinstance(node, yaml.MappingNode):
            continue
        keys: set[Hashable] = set()
        for key, value in node.value:
            waiting.extend((key, value))
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            name = (key.tag, key.value)
            if name in keys:
                yield key.value, key.start_mark
            keys.add(name)


def _one_line(error: Exception, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    if "\t" in line[: mark.column + 1]:
        return f"{place}: a tab stands where YAML takes spaces only"
    problem = getattr(error, "problem", None) or "it ends too early"
    return f"{place}: {problem}" + (f" in {line.strip()!r}" if line.strip() else "")
