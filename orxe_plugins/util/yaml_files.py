"""Reading YAML that people write: what is wrong with it is said in one line, with the place."""

from __future__ import annotations

import codecs
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from orxe_plugins.errors import OrxeError, shortened
from orxe_plugins.util.files import regular
from orxe_plugins.util.texts import wrong_in_text

#: the parser in C reads several times as much in a second
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
#: people write some hundred lines; the parser needs seconds for this much
_MOST_BYTES = 2**19
#: values in a file, those of its aliases each time that they are named
_MOST_VALUES = 200_000
#: levels that a file may be nested
_DEEPEST = 100
#: brackets that may be open at once, those in texts among them; the parser takes seconds before it gives up
_MOST_BRACKETS = 500
#: characters times brackets that are open at once: the parser looks at each of these for every word
_MOST_WORK = 4_000_000
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
        if Path(path).stat().st_size > _MOST_BYTES:
            raise OrxeError(f"{label} has {Path(path).stat().st_size:,} bytes: expected at most {_MOST_BYTES:,}")
        data = regular(Path(path)).read_bytes()
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
    if (problem := wrong_in_text(text)) is not None:
        raise OrxeError(f"{label} is not readable YAML: {problem}")
    brackets = _open_brackets(text)
    if brackets > _MOST_BRACKETS or brackets * len(text) > _MOST_WORK:
        raise OrxeError(f"{label} is not readable YAML: it is nested too deeply")
    try:
        node = yaml.compose(text, _LOADER)
        if node is not None:
            _check_size(node, label)
        twice = None if node is None else next(_given_twice(node), None)
        if twice is None:
            return yaml.load(text, _LOADER)
    except RecursionError as error:
        raise OrxeError(f"{label} is not readable YAML: it is nested too deeply") from error
    except OrxeError:
        raise
    # A ValueError is a date that there is not, a TypeError a list as a key.
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
        raise OrxeError(f"{label} is not readable YAML: {_one_line(error, text)}") from error
    key, mark = twice
    raise OrxeError(f"{label}, line {mark.line + 1}: the key {key!r} is given twice: leave out one of them")


def _open_brackets(text: str) -> int:
    """The most brackets that are open at once."""
    most = depth = 0
    for bracket in re.findall(r"[\[{\]}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        most = max(most, depth)
    return most


def _check_size(root: yaml.Node, label: str) -> None:
    """Refuse what a few aliases make of a small file: values that would fill the memory, or that hold themselves.

    Raises:
        OrxeError: it holds too many values, is nested too deeply, or holds a text that no system can write.
    """
    sizes: dict[int, int] = {}
    open_now: set[int] = set()
    # Each node twice: on the way down, and when all below it have a size. No recursion: Python's stack is small.
    waiting: list[tuple[yaml.Node, int, bool]] = [(root, 1, False)]
    while waiting:
        node, depth, done = waiting.pop()
        below = _below(node)
        if isinstance(node, yaml.ScalarNode) and (problem := wrong_in_text(node.value)) is not None:
            raise OrxeError(f"{label}, line {node.start_mark.line + 1}: {shortened(node.value)}: {problem}")
        if done:
            open_now.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(each)] for each in below)
            if sizes[id(node)] > _MOST_VALUES:
                raise OrxeError(f"{label} holds more than {_MOST_VALUES:,} values, counting those of its aliases")
            continue
        if id(node) in open_now:
            raise OrxeError(f"{label}, line {node.start_mark.line + 1}: an alias stands inside of what it names")
        if id(node) in sizes:
            continue
        if depth > _DEEPEST:
            raise OrxeError(f"{label} is nested too deeply: expected at most {_DEEPEST} levels")
        open_now.add(id(node))
        waiting.append((node, depth, True))
        waiting.extend((each, depth + 1, False) for each in below)


def _below(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


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
