"""Records on disk: one folder per expert, Parquet shards of consecutive samples, two kinds of manifest.

    FOLDER/dataset.json                         what was recorded: data set, path, augmentation, ...
    FOLDER/experts/<expert>/expert.json         the expert: fingerprint, cost, shard size, ...
    FOLDER/experts/<expert>/shard-00000.parquet its answers to the first samples

Every file is put in place by one atomic rename of a synced temporary file: no file is ever half-written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orxe_plugins.errors import OrxeError, shortened, unknown
from orxe_plugins.records.columns import from_arrow
from orxe_plugins.records.schema import DatasetContent, ExpertContent
from orxe_plugins.util.content import file_fingerprint
from orxe_plugins.util.files import (
    distinct_name,
    file_errors,
    remove_leftovers,
    write_atomically,
    write_json,
    write_text,
)
from orxe_plugins.util.json_files import checked, read_json

SCHEMA = 1
_MARK = b"orxe"
_DATASET = "dataset.json"
_WAY_OUT = ": choose another --out folder, or use --fresh"


class RecordStore:
    """A folder of records. Reading needs no lock: files in place are complete and never change.

    Args:
        folder: the records folder; it need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def make(self) -> None:
        """Make the folder if it is missing."""
        if self.folder.exists() and not self.folder.is_dir():
            raise OrxeError(f"records folder {str(self.folder)!r} is a file: choose another --out folder")
        with file_errors(self.folder, "written"):
            self.folder.mkdir(parents=True, exist_ok=True)

    # --- manifests ------------------------------------------------------------------------------

    def dataset(self) -> dict[str, Any] | None:
        """``dataset.json``; None if nothing was recorded yet."""
        return _read_json(self.folder / "dataset.json")

    def write_dataset(self, manifest: Mapping[str, Any]) -> None:
        """Put ``dataset.json`` in place."""
        write_json(self.folder / "dataset.json", {"schema": SCHEMA, **manifest})

    def experts(self) -> tuple[str, ...]:
        """Names of the experts that have records here, complete or not, sorted."""
        manifests = (_read_json(path) for path in self.folder.glob("experts/*/expert.json"))
        return tuple(sorted(manifest["name"] for manifest in manifests if manifest))

    def expert(self, name: str) -> dict[str, Any] | None:
        """``expert.json`` of an expert; None if it has no records."""
        return _read_json(self.expert_folder(name) / "expert.json")

    def known_expert(self, name: str) -> dict[str, Any]:
        """``expert.json`` of an expert, or an error that says which experts there are."""
        manifest = self.expert(name)
        if manifest is None:
            raise unknown(f"expert in the records of {self.folder}", name, self.experts())
        return manifest

    def write_expert(self, manifest: Mapping[str, Any]) -> None:
        """Put the ``expert.json`` of ``manifest["name"]`` in place."""
        write_json(self.expert_folder(manifest["name"]) / "expert.json", {"schema": SCHEMA, **manifest})

    def expert_folder(self, name: str) -> Path:
        """Where an expert's records lie."""
        return self.folder / "experts" / distinct_name(name)

    # --- shards ---------------------------------------------------------------------------------

    def shard(self, name: str, index: int) -> Path:
        """File of an expert's shard number ``index``."""
        return self.expert_folder(name) / f"shard-{index:05d}.parquet"

    def missing_shards(self, name: str, count: int, mark: str) -> list[int]:
        """Numbers of those of ``count`` shards that are missing or damaged.

        Args:
            name: the expert.
            count: number of shards of a complete recording.
            mark: what :meth:`write_shard` was given for them.

        Raises:
            OrxeError: a shard is complete but carries another mark.
        """
        missing = []
        for index in range(count):
            path = self.shard(name, index)
            found = _mark_of(path) if self._is_whole(path) else None
            if found is None:
                missing.append(index)
            elif found != shard_mark(mark, index):
                raise _foreign(path)
            elif not _sum_of(path).is_file():
                write_text(_sum_of(path), f"{file_fingerprint(path)}\n")  # killed before it was written, or of 0.1
        return missing

    def write_shard(self, name: str, index: int, columns: Mapping[str, pa.Array], mark: str) -> None:
        """Put one shard in place.

        Args:
            name: the expert.
            index: number of the shard.
            columns: Arrow arrays of one length.
            mark: fingerprint of all that the shard's content depends on.
        """
        table = pa.table(dict(columns)).replace_schema_metadata({_MARK: shard_mark(mark, index)})
        options = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True}
        self._put(self.shard(name, index), table, options)

    def rewrite_shard(self, name: str, index: int, table: pa.Table, mark: str) -> None:
        """Put a shard in place of an older one, with some rows anew."""
        self.write_shard(name, index, dict(zip(table.column_names, table.columns, strict=True)), mark)

    def table(self, name: str, index: int) -> pa.Table:
        """A whole shard."""
        return pq.read_table(self.shard(name, index))

    @staticmethod
    def _put(path: Path, table: pa.Table, options: Mapping[str, Any]) -> None:
        # Parquet's own checksums do not cover what a file says about its pages. A kill between the two leaves a sum of
        # the older file, or none: then the shard is recorded again, or goes by Parquet's checksums as those of 0.1 do.
        _sum_of(path).unlink(missing_ok=True)
        digests = []

        def write(temporary: Path) -> None:
            pq.write_table(table, temporary, **options)
            digests.append(file_fingerprint(temporary))

        write_atomically(path, write)
        write_text(_sum_of(path), f"{digests[0]}\n")

    @staticmethod
    def _is_whole(path: Path) -> bool:
        """Whether a shard holds what was written, as far as that can be told."""
        try:
            wanted = _sum_of(path)
            if wanted.is_file():
                return wanted.read_text(encoding="utf-8", errors="replace").strip() == file_fingerprint(path)
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                file.read()
        except (OSError, pa.ArrowException):
            return False
        return True

    def check_shard(self, name: str, index: int) -> None:
        """Raise unless a shard holds what was written.

        Raises:
            OrxeError: it was damaged since.
        """
        path = self.shard(name, index)
        if _sum_of(path).is_file() and not self._is_whole(path):
            raise OrxeError(f"{path} is damaged: run the same recording again, which mends it")

    def read(self, name: str, columns: list[str], index: int, mark: str | None = None) -> dict[str, np.ndarray]:
        """Columns of one shard; columns that the shard does not have are left out.

        Args:
            name: the expert.
            columns: which columns.
            index: number of the shard.
            mark: what :meth:`write_shard` was given; None skips this check.
        """
        path = self.shard(name, index)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                schema = file.schema_arrow
                if mark is not None and (schema.metadata or {}).get(_MARK) != shard_mark(mark, index):
                    raise _foreign(path)
                here = [column for column in columns if column in schema.names]
                table = file.read(columns=here)
            return {column: from_arrow(table[column]) for column in here}
        # A ValueError is a text that is none.
        except (OSError, pa.ArrowException, ValueError) as error:
            raise OrxeError(f"{path} is damaged ({error}): run the same recording again, which mends it") from error

    def column_names(self, name: str, index: int) -> list[str]:
        """Columns of one shard."""
        path = self.shard(name, index)
        try:
            return pq.read_schema(path).names
        except (OSError, pa.ArrowException, ValueError) as error:
            raise OrxeError(f"{path} is damaged ({error}): run the same recording again, which mends it") from error

    # --- tidying --------------------------------------------------------------------------------

    def remove_leftovers(self) -> None:
        """Remove temporary files of killed runs. Only the holder of the folder's lock may call this."""
        remove_leftovers(self.folder, "dataset.json")
        remove_leftovers(self.folder, "contents.parquet")
        for folder in self.folder.glob("experts/*/"):
            remove_leftovers(folder, "expert.json")
            remove_leftovers(folder, "shard-*.parquet")
            remove_leftovers(folder, "shard-*.sum")

    def remove_all(self) -> None:
        """Remove all records, and nothing else that may lie in the folder."""
        for folder in sorted(self.folder.glob("experts/*")):
            _remove_expert(folder)
        (self.folder / "dataset.json").unlink(missing_ok=True)

    def remove_expert(self, name: str) -> None:
        """Remove an expert's records."""
        _remove_expert(self.expert_folder(name))


def _remove_expert(folder: Path) -> None:
    if folder.is_dir():
        # The manifest last: without it, nothing would say which expert remaining shards belong to.
        for path in [
            *sorted(folder.glob("shard-*.parquet")),
            *sorted(folder.glob("shard-*.sum")),
            folder / "expert.json",
        ]:
            path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _sum_of(shard: Path) -> Path:
    """Where the sha256 of a shard's file is kept."""
    return shard.with_suffix(".sum")


def shard_mark(mark: str, index: int) -> bytes:
    """What a shard's file carries so that it can be distinguished from shards of other recordings."""
    return f"{mark}:{index}".encode()


def _foreign(path: Path) -> OrxeError:
    return OrxeError(f"{path} belongs to another recording: remove it, choose another --out folder, or use --fresh")


def _mark_of(path: Path) -> bytes | None:
    try:
        return (pq.read_metadata(path).metadata or {}).get(_MARK, b"")
    except (OSError, pa.ArrowException):
        return None


def _read_json(path: Path) -> dict[str, Any] | None:
    if not os.path.lexists(path):
        return None
    try:
        manifest = read_json(path)
    except OrxeError as error:
        raise OrxeError(f"{error}{_WAY_OUT}") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        found = shortened(manifest.get("schema") if isinstance(manifest, dict) else manifest)
        raise OrxeError(f"{path} has schema {found}: this version reads schema {SCHEMA}")
    kind = DatasetContent if path.name == _DATASET else ExpertContent
    checked(kind, manifest, str(path), _WAY_OUT)
    if kind is ExpertContent and path.parent.name != distinct_name(manifest["name"]):
        raise OrxeError(
            f"{path} is about expert {shortened(manifest['name'])}, whose folder would be "
            f"{distinct_name(manifest['name'])!r}{_WAY_OUT}"
        )
    return manifest
