"""Paths of an expert's description that lead out of its folder: they are refused before anybody looks there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from orxe_plugins.experts.checkpoints import is_package
from orxe_plugins.experts.label_space import LABEL_OPTIONS
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.util.files import is_there
from orxe_plugins.util.inside import is_inside
from orxe_plugins.util.trust import Risk

_REMOTE = re.compile(r"[A-Za-z][\w+.-]+:/", re.ASCII)
#: what stands before a path in a name, as in ``local-dir:FOLDER`` and ``CONFIG@CHECKPOINT``; one letter is a drive
_BEFORE = re.compile(r"[\w.-]{2,}:(?!//)|[^@]*@")


def is_address(text: str) -> bool:
    """Whether a text names something to fetch, as ``https://...`` does."""
    return _REMOTE.match(text) is not None


def outside_of(spec: ExpertSpec, folder: Path | None) -> list[Risk]:
    """What building an expert would read outside of a folder, as the paths themselves say; no file is looked at.

    Each is known by the folder that it lies in: whether its content is trusted can only be told by reading it.

    Args:
        spec: the expert.
        folder: what its files may lie in; None allows none. A name that is not absolute may lie in the working folder.
    """
    named = f"expert {spec.name or spec.address!r}"
    paths = dict.fromkeys(text for text in _texts(spec) if _leads_out(text, folder))
    does = "which is outside of the folder, and may run what it holds"
    return [Risk.of_place(f"{named} reads {text!r}, {does}", text) for text in paths]


def without_outside(spec: ExpertSpec, folder: Path | None) -> ExpertSpec | None:
    """The same expert without the paths that lead out of a folder; None where its name is one."""

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: each if key in LABEL_OPTIONS else kept(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [kept(each) for each in value]
        return None if any(_leads_out(text, folder) for text in _texts_in(value)) else value

    adapter, name, options = parse_address(spec.address)
    if any(_leads_out(text, folder) for text in _texts(ExpertSpec(f"{adapter}:{name}"))):
        return None
    return replace(
        spec,
        address=f"{adapter}:{name}",
        name=spec.name or spec.address,
        checkpoint=kept(spec.checkpoint),
        options=kept({**options, **spec.options}),
        confidence=kept(spec.confidence),
    )


def places_of(spec: ExpertSpec) -> list[Risk]:
    """The folders of all files that an expert of one's own reads, to be remembered."""
    # A text that is no file by itself, such as ``CONFIG@CHECKPOINT``, is known as it is written.
    paths = [text for text in _texts(spec) if PurePath(text).anchor or is_there(text)]
    found = dict.fromkeys(os.path.realpath(text) if is_there(text) else text for text in paths)
    return [Risk.of_place(f"expert {spec.name or spec.address!r} reads {path!r}", path) for path in found]


def _texts(spec: ExpertSpec) -> Iterator[str]:
    """Every text of a spec that may be a path."""
    adapter, name, options = parse_address(spec.address)
    if not (name.startswith("//") and adapter in ("http", "https")):
        yield from _pieces(name)
    for file in (spec.checkpoint, (spec.confidence or {}).get("file")):
        yield from _pieces(file) if isinstance(file, str) else ()
    yield from _texts_in({**options, **spec.options})


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for part in re.split("[?&=]", value):  # an expert inside of options may have options in its address
            yield from _pieces(part)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts_in(each) if key not in LABEL_OPTIONS else ()
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts_in(each)


def _pieces(text: str) -> Iterator[str]:
    """A text, and what is left of it without each of the words before a path."""
    yield text
    while (before := _BEFORE.match(text)) is not None:
        text = text[before.end() :]
        yield text


def _leads_out(text: str, folder: Path | None) -> bool:
    if is_package(text) or is_address(text):
        return False
    if text.startswith("~"):
        return True
    if PurePath(text).anchor:
        return folder is None or not is_inside(text, folder)
    return not is_inside(text, os.getcwd())  # noqa: PTH109  a text, as the others
