"""One process at a time in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from orxe_plugins.errors import OrxeError

LOCK_FILE = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process inside a ``with`` block.

    The operating system lets go of the lock when the process ends, however it ends, so that a
    killed run leaves nothing behind that would have to be cleared by hand.

    Raises:
        OrxeError: another process holds it.
    """
    path = folder / LOCK_FILE
    with path.open("a+") as handle:
        if not _try_lock(handle):
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise OrxeError(
                f"{folder} is in use: process {holder} is recording into it. "
                "Wait until it has finished, or record into another --out folder"
            )
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _try_lock(handle: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            # The bytes that hold the process number stay readable for others.
            handle.seek(1024)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
