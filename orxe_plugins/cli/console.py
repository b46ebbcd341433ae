"""What the command prints: progress with the time left, and errors without a traceback."""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from orxe_plugins.cli.progress_lines import ProgressLines
from orxe_plugins.errors import OrxeError, OrxeWarning
from orxe_plugins.util.texts import printable


class _Harmless(Console):
    """A terminal that no name in a file can take over, and that any name of a file can be printed to."""

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """See rich: with control characters in texts as escapes."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


#: results go to standard output, everything else to standard error
out = _Harmless(highlight=False, soft_wrap=True)
err = _Harmless(stderr=True, highlight=False, soft_wrap=True)


class Bars:
    """Progress bars on a terminal, one for each job; plain lines elsewhere. Implements ``util.progress.Progress``."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )
        self._task: TaskID | None = None
        self._lines = None if err.is_terminal else ProgressLines(say)

    def start(self, total: int, label: str, done: int = 0) -> None:
        """Open a bar of ``total`` steps, of which ``done`` were done by an earlier run."""
        if self._lines is not None:
            self._lines.start(total, label, done)
            return
        self._bars.start()
        self._task = self._bars.add_task(escape(label), total=total)
        # Steps of an earlier run must not count into the speed: the time left is computed from it.
        self._bars.reset(self._task, completed=done)

    def advance(self, n: int) -> None:
        """``n`` more steps are done."""
        if self._lines is not None:
            self._lines.advance(n)
        elif self._task is not None:
            self._bars.advance(self._task, n)

    def close(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()


@contextmanager
def bars(stopped: str = "stopped; the same command goes on where this one was") -> Iterator[Bars]:
    """Bars that are closed in every case, so that the terminal stays usable; Ctrl-C ends with exit code 130.

    Args:
        stopped: what is said then.
    """
    made = Bars()
    try:
        yield made
    except KeyboardInterrupt:
        # Caught here, where the work is done: typer would exit without a message.
        say(stopped)
        sys.exit(130)
    finally:
        made.close()


def say(message: str) -> None:
    """A step's message, to standard error."""
    err.print(message, markup=False)


def tell(message: str = "", wrap: bool = False) -> None:
    """A result, to standard output.

    Args:
        message: the text.
        wrap: break lines at words where a terminal is narrow; for sentences, not for what is copied, such as paths.
    """
    if wrap and out.is_terminal:
        indent = " " * (len(message) - len(message.lstrip()) + 2)
        message = textwrap.fill(message, out.width, subsequent_indent=indent, break_long_words=False)
    out.print(message, markup=False)


def tell_notes(notes: Sequence[str], what: str = "note") -> None:
    """What was left out or decided, one sentence a line."""
    for note in notes:
        tell(f"{what}: {note}", wrap=True)


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn errors that the user can correct into one message and exit code 2, and warnings into one line each."""
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, OrxeWarning):
            say(f"warning: {message}")
        else:
            others(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    except (OrxeError, ImportError) as error:
        err.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except BrokenPipeError:
        raise
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        err.print(f"error: {place}{error.strerror or error}", style="red", markup=False)
        sys.exit(2)
    finally:
        warnings.showwarning = others
