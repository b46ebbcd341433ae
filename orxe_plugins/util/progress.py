"""How long work says how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives how far long work is: one job after the other, each with a number of steps."""

    def start(self, total: int, label: str, done: int = 0) -> None:
        """A job begins: ``total`` steps, of which ``done`` were done by an earlier run."""

    def advance(self, n: int) -> None:
        """``n`` more steps of that job are done."""


class OfTotal:
    """A progress for jobs that do not know their number of steps, where the caller knows it.

    Args:
        progress: what shows it.
        total: the number of steps of every job that starts with 0.
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total

    def start(self, total: int, label: str, done: int = 0) -> None:
        self._progress.start(total or self._total, label, done)

    def advance(self, n: int) -> None:
        self._progress.advance(n)


class Silent:
    """A progress that shows nothing."""

    def start(self, total: int, label: str, done: int = 0) -> None:
        pass

    def advance(self, n: int) -> None:
        pass
