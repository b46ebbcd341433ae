"""Neighbouring preferences that have the same policy, as one group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from orxe_plugins.policies.policy import Policy


class _HasPolicy(Protocol):
    @property
    def policy(self) -> Policy: ...


_Row = TypeVar("_Row", bound=_HasPolicy)


def merge_adjacent(policies: Sequence[_Row]) -> tuple[tuple[_Row, ...], ...]:
    """Groups of neighbours that have the same policy."""
    groups: list[list[_Row]] = []
    for row in policies:
        if groups and groups[-1][-1].policy == row.policy:
            groups[-1].append(row)
        else:
            groups.append([row])
    return tuple(tuple(group) for group in groups)
