"""What pydantic finds wrong in a file, in one line that names each key, its value and the nearest key that there is."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ValidationError

from orxe_plugins.util.texts import wrong_in_name, wrong_in_text

#: error types of pydantic that mean: a key that the model does not have
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING_KEY = ("missing", "missing_argument")
_NO_MAPPING = ("dataclass_type", "model_type", "model_attributes_type", "dict_type", "mapping_type")
#: what people write for a key, where no letters are alike
_SYNONYMS = {
    "weights": "checkpoint",
    "weight": "checkpoint",
    "ckpt": "checkpoint",
    "file": "checkpoint",
    "pretrained": "options",
    "kwargs": "options",
    "model": "address",
    "timm": "address",
    "models": "experts",
    "pool": "experts",
    "dataset": "data",
    "images": "data",
    "folder": "root",
    "dir": "root",
    "path": "root",
    "val": "report_root",
    "test": "report_root",
    "classes": "class_map",
    "lambdas": "preferences",
    "lambda": "preferences",
    "input_mode": "path",
}
#: pydantic's words for a kind of value, in ours
_EXPECTED = {
    "string_type": "a text; write it in quotes if it looks like a number",
    "list_type": "a list",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
#: metadata of a dataclass's field that is no key of files
NO_KEY = {"no_key": True}
#: a longer value is left out of the message
_LONGEST_VALUE = 80


def _name(text: str) -> str:
    if (problem := wrong_in_name(text)) is not None:
        raise ValueError(problem)
    return text


def _text(text: str) -> str:
    if (problem := wrong_in_text(text)) is not None:
        raise ValueError(problem)
    return text


#: a name that people read, of an expert say, and a text that becomes a path or an address
Name = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, AfterValidator(_text)]


def explain(error: ValidationError, prefix: str = "", model: Any = None) -> str:
    """All problems of a validation, separated by semicolons.

    Args:
        error: what pydantic raised.
        prefix: dotted key of the validated part inside of its file, such as "experts.0".
        model: what was validated, a model or a dataclass; its keys are suggested for unknown ones.
    """
    return "; ".join(dict.fromkeys(_problems(error, prefix, model)))


def known_keys(model: Any, place: Sequence[Any]) -> tuple[str, ...]:
    """The keys of the part of a model that a place leads to, such as ("experts", 0); empty where any key may stand."""
    kinds = _kinds(model)
    for step in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    return tuple(dict.fromkeys(key for kind in kinds for key in _fields(kind)))


def _problems(error: ValidationError, prefix: str, model: Any) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        place = problem["loc"]
        key = ".".join(filter(None, (prefix, dotted(place))))
        kind = problem["type"]
        message = problem["msg"].removeprefix("Value error, ")
        if kind in _UNKNOWN_KEY:
            yield _unknown_key(place, prefix, model)
        elif kind in _MISSING_KEY:
            yield f"key {key!r} is missing"
        elif kind in _NO_MAPPING:
            yield f"{key or 'the content'} is {_shown(problem['input'])}: expected keys with values"
        elif kind in _EXPECTED and key:
            yield f"{key} is {_shown(problem['input'])}: expected {_EXPECTED[kind]}"
        elif not key:
            yield message
        elif _is_short(problem["input"]):
            yield f"{key} is {problem['input']!r}: {message}"
        else:
            yield f"{key}: {message}"


def dotted(place: Sequence[Any]) -> str:
    """A place inside of a file as people write it: ``experts[0].options``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _unknown_key(place: Sequence[Any], prefix: str, model: Any) -> str:
    *parents, last = place
    inside = ".".join(filter(None, (prefix, dotted(parents))))
    named = f"unknown key {str(last)!r}" + (f" in {inside}" if inside else "")
    known = () if model is None else known_keys(model, parents)
    word = str(last).lower()
    near = difflib.get_close_matches(word, known, n=1)
    synonym = _SYNONYMS.get(word)
    if synonym in known:
        near = [str(synonym)]
    if near:
        return f"{named}: did you mean {near[0]!r}?"
    return f"{named}: known are {', '.join(sorted(known))}" if known else named


def _kinds(annotation: Any) -> list[Any]:
    """The types that a value may be of, without what pydantic adds to them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [annotation]


def _fields(kind: Any) -> dict[str, Any]:
    """Key and type of each field of a model or dataclass; nothing of other types."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items() if not field.exclude}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.metadata != NO_KEY}
    return {}


def _inside(kind: Any, step: Any) -> list[Any]:
    """What a value of a type holds at one step further: at a key, or at a number of a list."""
    if isinstance(step, int):
        arguments = get_args(kind)
        return _kinds(arguments[0]) if arguments and get_origin(kind) in (list, tuple) else []
    fields = _fields(kind)
    return _kinds(fields[step]) if step in fields else []


def _is_short(value: Any) -> bool:
    """Whether a value helps in a message; whole sections of a file do not."""
    plain = value is None or isinstance(value, (bool, int, float, str, list, tuple))
    return plain and not _holds_mapping(value) and len(repr(value)) <= _LONGEST_VALUE


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(part, Mapping) for part in value)


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    return repr(value) if _is_short(value) else f"a {type(value).__name__}"
