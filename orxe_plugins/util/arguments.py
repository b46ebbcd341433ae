"""Checks of plain arguments: each error names the argument and its value."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

from orxe_plugins.errors import OrxeError, OrxeTypeError, shortened


def check_count(name: str, value: Any, least: int = 0) -> int:
    """A whole number of at least ``least``, as an int.

    >>> check_count("seed", -1)
    Traceback (most recent call last):
    orxe_plugins.errors.OrxeError: seed is -1: expected a whole number of at least 0

    Raises:
        OrxeTypeError: ``value`` is no whole number.
        OrxeError: it is too small.
    """
    expected = f"expected a whole number of at least {least}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise OrxeTypeError(f"{name} is {shortened(value)}: {expected}")
    if value < least:
        raise OrxeError(f"{name} is {value}: {expected}")
    return int(value)


def check_counts(name: str, values: Any, least: int = 0) -> tuple[int, ...]:
    """Several whole numbers of at least ``least``, as ints.

    >>> check_counts("threads", 2, least=1)
    Traceback (most recent call last):
    orxe_plugins.errors.OrxeTypeError: threads is 2: expected a list of whole numbers, such as [2]

    Raises:
        OrxeTypeError: ``values`` is no list, or one of them is no whole number.
        OrxeError: one of them is too small.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise OrxeTypeError(f"{name} is {shortened(values)}: expected a list of whole numbers, such as [2]")
    return tuple(check_count(name, value, least) for value in values)


def check_real(name: str, value: Any) -> None:
    """A real number, NaN and infinity among them.

    Raises:
        OrxeTypeError: ``value`` is none.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise OrxeTypeError(f"{name} is {shortened(value)}: expected a number")
