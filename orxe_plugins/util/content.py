"""What a file or a folder holds, as one fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path

from orxe_plugins.util.files import regular

#: bytes that are read at once
_BLOCK = 1 << 20


def file_fingerprint(path: Path) -> str:
    """sha256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with regular(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def tree_fingerprint(path: Path) -> str:
    """sha256 of a file's bytes, or of the names and bytes of all files in a folder and below it.

    Raises:
        OSError: a file cannot be read.
    """
    if not path.is_dir():
        return file_fingerprint(path)
    digest = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_fingerprint(file)}\n".encode())
    return digest.hexdigest()
