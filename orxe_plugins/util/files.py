"""Files that are never half-written, and names that every file system takes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orxe_plugins.errors import OrxeError, OrxeFileError
from orxe_plugins.util.texts import encoded

#: the number of the process in the name of a temporary file
_WRITER = re.compile(r"\.(\d{1,9})-[^.]*\.tmp")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then put it in place by one rename.

    A process that is killed meanwhile leaves ``path`` as it was. Folders are made where they are missing.

    Raises:
        OrxeFileError: the disk is full, the folder may not be written to, or the like.
    """
    with file_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The process's number says whether it still writes: see remove_leftovers.
        prefix = f".{path.name}.{os.getpid()}-"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=f".tmp{path.suffix}", dir=path.parent)
        os.close(handle)
        _fill(Path(name), path, write)


@contextmanager
def file_errors(path: Path, done: str) -> Iterator[None]:
    """Turn errors of the system about a file into one line that names it.

    Args:
        path: the file.
        done: what could not be done with it: "read" or "written".

    Raises:
        OrxeFileError: in place of an OSError.
    """
    try:
        yield
    except OrxeError:
        raise
    except OSError as error:
        raise OrxeFileError(f"{path} cannot be {done}: {error.strerror or error}") from error


def _fill(temporary: Path, path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(temporary)
        # mkstemp makes files that only the owner can read; results may be read like other files of the folder.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system can sync a folder."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path, pattern: str) -> None:
    """Remove temporary files that killed runs left of files that match ``pattern``; those of a living process stay."""
    for path in folder.glob(f".{pattern}.*.tmp*"):
        writer = _WRITER.search(path.name)
        if writer is None or not _is_alive(int(writer[1])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Whether another process of that number is running on this machine."""
    if os.name != "posix" or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8. Bytes of a file's name that are none become escapes, as JSON has them."""
    data = text.encode("utf-8", "backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file atomically, indented."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def safe_name(text: str, longest: int = 80) -> str:
    """A text in letters that every file system takes; different texts may become the same name.

    >>> safe_name("timm:resnet18?input_size=224")
    'timm_resnet18_input_size_224'
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("._")[:longest]


def distinct_name(text: str) -> str:
    """A safe name with a short hash of the text: different texts have different names."""
    return f"{safe_name(text)}-{hashlib.sha256(encoded(text)).hexdigest()[:8]}"


def folder_name(text: str) -> str:
    """The text itself where every file system takes it; else a distinct name."""
    return text if text and text == safe_name(text) else distinct_name(text)


def regular(path: Path) -> Path:
    """The same path, if reading it ends: a pipe or a device that lies in a folder, or behind a link, may have no end.

    Raises:
        OSError: it is one, or there is nothing at the path.
    """
    mode = path.stat().st_mode
    # What a shell hands over as a file, by its own name, is what the caller wants to be read.
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or str(path).startswith("/dev/")):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))
    return path


def is_there(path: str | Path) -> bool:
    """Whether there is something at a path; False, not an error, for one that no system could hold."""
    return os.path.exists(path)  # noqa: PTH110  Path.exists raises for names that are too long


def is_file_there(path: str | Path) -> bool:
    """Whether there is a file at a path; False, not an error, for one that no system could hold."""
    return os.path.isfile(path)  # noqa: PTH113
