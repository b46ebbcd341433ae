"""What pydantic finds wrong in a file, in one line that names each key and its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

#: error types of pydantic that mean: a key that the model does not have
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING_KEY = ("missing", "missing_argument")
_NO_MAPPING = ("dataclass_type", "model_type", "model_attributes_type")
#: a longer value is left out of the message
_LONGEST_VALUE = 80


def explain(error: ValidationError, prefix: str = "") -> str:
    """All problems of a validation, separated by semicolons.

    Args:
        error: what pydantic raised.
        prefix: dotted key of the validated part inside of its file, such as "experts.0".
    """
    return "; ".join(_problems(error, prefix))


def _problems(error: ValidationError, prefix: str) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        key = ".".join(filter(None, (prefix, *map(str, problem["loc"]))))
        kind = problem["type"]
        message = problem["msg"].removeprefix("Value error, ")
        if kind in _UNKNOWN_KEY:
            yield f"unknown key {key!r}"
        elif kind in _MISSING_KEY:
            yield f"key {key!r} is missing"
        elif kind in _NO_MAPPING:
            yield f"{key or 'the content'} is {_shown(problem['input'])}: expected keys with values"
        elif not key:
            yield message
        elif _is_short(problem["input"]):
            yield f"{key} is {problem['input']!r}: {message}"
        else:
            yield f"{key}: {message}"


def _is_short(value: Any) -> bool:
    """Whether a value helps in a message; whole sections of a file do not."""
    plain = value is None or isinstance(value, (bool, int, float, str, list, tuple))
    return plain and not _holds_mapping(value) and len(repr(value)) <= _LONGEST_VALUE


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(part, Mapping) for part in value)


def _shown(value: Any) -> str:
    return repr(value) if _is_short(value) else f"a {type(value).__name__}"
