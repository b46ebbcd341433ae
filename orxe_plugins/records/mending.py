"""Shards that are there but not as they should be: damaged files, changed images, samples that could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from orxe_plugins.records.store import RecordStore

#: how errors of an expert begin; a sample that it answered so is not tried again
ANSWERED_NAN = " answered NaN"


def rows_to_redo(store: RecordStore, name: str, index: int, contents: Sequence[str] | None) -> list[int]:
    """Rows of a shard whose image has changed since, or could not be read then.

    Args:
        store: the records.
        name: the expert.
        index: number of the shard, which is there and whole.
        contents: hash of each of its samples now; None if they are not known.
    """
    part = store.read(name, ["content", "error"], index)
    errors = part["error"]
    unread = [i for i, error in enumerate(errors) if error is not None and not str(error).endswith(ANSWERED_NAN)]
    before = part.get("content")
    if contents is None or before is None:
        return unread
    changed = [i for i, (old, new) in enumerate(zip(before, contents, strict=True)) if old is not None and old != new]
    return sorted({*unread, *changed})


def is_new(table: pa.Table, rows: Sequence[int], columns: Mapping[str, pa.Array]) -> bool:
    """Whether rows that were recorded again say something else than before: they may fail as they did."""
    if columns["error"].null_count:
        return True
    before = table.take(pa.array(list(rows)))
    known = [name for name in ("error", "content") if name in columns and name in table.schema.names]
    return any(before[name].to_pylist() != columns[name].to_pylist() for name in known)


def with_rows(table: pa.Table, rows: Sequence[int], columns: Mapping[str, pa.Array]) -> pa.Table | None:
    """A shard with some rows anew; None if the new ones have other columns, so that the whole shard has to be redone.

    Args:
        table: the shard.
        rows: positions of the new rows in it, rising.
        columns: their columns. Rows without an answer may lack what is kept of answers.
    """
    fresh: dict[str, Any] = {}
    order = np.arange(len(table))
    order[list(rows)] = len(table) + np.arange(len(rows))
    for field in table.schema:
        if field.name in columns:
            try:
                fresh[field.name] = columns[field.name].cast(field.type)
            except pa.ArrowException:
                return None
        elif columns["error"].null_count:
            return None  # an answer, and nothing of it is kept where the others have something
        else:
            fresh[field.name] = table[field.name].combine_chunks().take(pa.array(list(rows)))
    if any(key not in table.schema.names and key != "content" for key in columns):
        return None
    bare = table.replace_schema_metadata(None)
    joined = pa.concat_tables([bare, pa.table(fresh, schema=bare.schema)])
    return joined.take(pa.array(order)).combine_chunks()
