"""Reading JSON files: what is wrong with one is said in one line, with its path and its keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import regular
from orxe_plugins.util.texts import check_texts
from orxe_plugins.util.validation import explain

#: a manifest or a table is never larger; who writes one that is wants the memory of who reads it
_MOST_BYTES = 64 * 2**20
_Model = TypeVar("_Model", bound=BaseModel)

#: what Python raises where plain values are not of the form that code expects
WRONG_VALUES = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, ArithmeticError)


def read_json(path: str | Path, what: str = "", most_bytes: int | None = _MOST_BYTES) -> Any:
    """What a JSON file holds, as plain values.

    Args:
        path: the file, in UTF-8.
        what: what messages call it, as "table of latencies".
        most_bytes: a larger file is refused; None takes any.

    Raises:
        OrxeError: the file cannot be read, is too large, or is no JSON.
    """
    path = Path(path)
    label = f"{what} {str(path)!r}" if what else str(path)
    try:
        if most_bytes is not None and path.stat().st_size > most_bytes:
            raise OrxeError(f"{label} has {path.stat().st_size:,} bytes: expected at most {most_bytes:,}")
        return parse_json(regular(path).read_bytes(), label)
    except OSError as error:
        raise OrxeError(f"{label} cannot be read: {error.strerror or error}") from error


def parse_json(data: bytes | str, label: str) -> Any:
    """The same for a file's content, or a part of one.

    Raises:
        OrxeError: it is no JSON, or holds a text that no system can write.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        values = json.loads(text)
    except RecursionError as error:
        raise OrxeError(f"{label} cannot be read: it is nested too deeply") from error
    # A ValueError is text that is no UTF-8, no JSON, or a number of thousands of digits.
    except ValueError as error:
        raise OrxeError(f"{label} cannot be read: it is no JSON ({error})") from error
    check_texts(values, label, text)
    return values


def checked(model: type[_Model], raw: Any, label: str, way_out: str = "") -> _Model:
    """Plain values by a schema.

    Raises:
        OrxeError: they do not fit; each key that is wrong is named.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise OrxeError(f"{label}: {explain(error, model=model)}{way_out}") from error
    except RecursionError as error:
        raise OrxeError(f"{label} is nested too deeply") from error


@contextmanager
def values_of(label: str) -> Iterator[None]:
    """Turn what Python raises of values of another form into an error that names where they stand.

    Raises:
        OrxeError: in place of a KeyError, TypeError and the like.
    """
    try:
        yield
    except OrxeError as error:
        raise OrxeError(str(error) if label in str(error) else f"{label}: {error}") from error
    except RecursionError as error:
        raise OrxeError(f"{label} is nested too deeply") from error
    except WRONG_VALUES as error:
        missing = f"key {error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise OrxeError(f"{label} is not as it was written: {missing or type(error).__name__}") from error
