"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from orxe_plugins.errors import OrxeError

LOCK_FILE = ".lock"
#: number of the process that holds the lock, for the error message of others
HOLDER_FILE = ".lock.pid"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process inside a ``with`` block.

    The operating system releases the lock when the process ends, however it ends: a killed run leaves nothing
    behind that must be removed by hand.

    Network file systems: a lock holds between machines only if the server supports it (NFS version 4 does, older
    ones need their lock service). On a file system without locks, some versions of filelock use the mere
    existence of ``.lock``, which a killed run leaves behind: remove it by hand there, and record on a local disk.

    Args:
        folder: an existing folder.

    Raises:
        OrxeError: another process holds the folder, or its file system has no locks.
    """
    lock = FileLock(folder / LOCK_FILE)
    holder = folder / HOLDER_FILE
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OrxeError(
            f"{folder} is in use: process {_read(holder)} is recording into it. "
            "Wait until it has finished, or record into another --out folder"
        ) from error
    except NotImplementedError as error:
        raise OrxeError(
            f"the file system of {folder} has no locks, so that two processes could record into it at once: "
            "record into an --out folder on a local disk"
        ) from error
    try:
        holder.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        return "unknown"
