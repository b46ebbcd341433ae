"""What the files of samples hold: hashes of their bytes, which are read again only where size or time changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orxe_plugins.data.datasets import Dataset, files_of
from orxe_plugins.util.files import write_atomically
from orxe_plugins.util.texts import printable

#: beside ``dataset.json``: size, time and hash of each file; without it, all files are read again
FILE_NAME = "contents.parquet"
_Known = dict[str, tuple[int, int, str]]


def contents_of(dataset: Dataset, folder: Path) -> list[str] | None:
    """A hash of the files of each sample, M texts; None for a data set that does not say which files these are.

    A file that is missing or cannot be read has a hash of its own, so that it counts as changed once it can.

    Args:
        dataset: a data set with a method ``content_files(index)``.
        folder: of the records, where hashes are kept for the next time.
    """
    files = [tuple(map(str, files_of(dataset, i))) for i in range(len(dataset))]
    if not all(files):
        return None
    known = _read(folder / FILE_NAME)
    distinct = list(dict.fromkeys(path for each in files for path in each))
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        found = dict(zip(distinct, pool.map(lambda path: _hashed(path, known.get(path)), distinct), strict=True))
    if found != {path: known.get(path) for path in distinct}:
        _write(folder / FILE_NAME, {**known, **found})
    return [_joined([found[path][2] for path in each]) for each in files]


def digest_of(contents: Sequence[str]) -> str:
    """One hash of all samples' contents."""
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()


def _hashed(path: str, known: tuple[int, int, str] | None) -> tuple[int, int, str]:
    try:
        status = os.stat(path)  # noqa: PTH116  a million paths need not become objects
        size, time = status.st_size, status.st_mtime_ns
        if known is not None and known[:2] == (size, time):
            return known
        with open(path, "rb") as file:  # noqa: PTH123
            digest = hashlib.blake2b(digest_size=16)
            while block := file.read(1 << 20):
                digest.update(block)
        return size, time, digest.hexdigest()
    except (OSError, ValueError) as error:
        return -1, -1, f"unreadable ({type(error).__name__})"


def _joined(hashes: Sequence[str]) -> str:
    return hashes[0] if len(hashes) == 1 else hashlib.blake2b("\n".join(hashes).encode(), digest_size=16).hexdigest()


def _read(file: Path) -> _Known:
    try:
        table = pq.read_table(file, columns=["path", "size", "time", "hash"])
        columns = [table[name].to_pylist() for name in ("path", "size", "time", "hash")]
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return {}  # not there yet, or damaged: all is read again
    return {path: (size, time, value) for path, size, time, value in zip(*columns, strict=True)}


def _write(file: Path, known: _Known) -> None:
    columns = {
        # A path that is no UTF-8 is not found again under its escapes, and its file is read anew each time.
        "path": pa.array([printable(path) for path in known], pa.string()),
        "size": pa.array([value[0] for value in known.values()], pa.int64()),
        "time": pa.array([value[1] for value in known.values()], pa.int64()),
        "hash": pa.array([value[2] for value in known.values()], pa.string()),
    }
    write_atomically(file, lambda path: pq.write_table(pa.table(columns), path, compression="zstd"))
