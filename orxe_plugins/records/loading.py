"""Records out of a folder: experts aligned over the samples that all of them could answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from orxe_plugins.cost.sharing import routing_order
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.experts.views import view_text
from orxe_plugins.records.agreement import agreement_records
from orxe_plugins.records.columns import StoredColumn
from orxe_plugins.records.manifest import OF_FILES, SAID, recording_mark
from orxe_plugins.records.records import Records
from orxe_plugins.records.shards import COLUMNS
from orxe_plugins.records.store import RecordStore
from orxe_plugins.util.json_files import values_of

#: prediction columns that take more memory than this stay on disk until they are asked for
_LARGE_BYTES = 512 * 2**20


def load_records(folder: str | Path, experts: Sequence[str] | None = None) -> Records:
    """The records in a folder.

    Args:
        folder: what :func:`record` wrote.
        experts: names of the experts to load; all of them by default.

    Returns:
        Records of the samples that every one of these experts could answer, cheapest expert first.
        Scores of images without labels are relative to the last of these experts: see
        :func:`~orxe_plugins.records.agreement.agreement_records`.
        Other samples are in ``skipped`` with their reason. Large prediction columns are
        :class:`StoredColumn` objects, which read from the folder when they are asked for.

    Raises:
        OrxeError: the folder holds no records, an expert is not in it, a recording is unfinished, or
            no sample is left.
    """
    check_type("folder", folder, (str, PathLike), "a folder that `orxe record` wrote")
    store = RecordStore(folder)
    dataset = store.dataset()
    names = store.experts() if experts is None else tuple(experts)
    if dataset is None or not names:
        raise OrxeError(f"{store.folder} holds no records: make some by `orxe record RECIPE --out {store.folder}`")
    with values_of(str(store.folder)):
        return _loaded(store, dataset, [store.known_expert(name) for name in names])


def _loaded(store: RecordStore, dataset: Mapping[str, Any], experts: Sequence[dict[str, Any]]) -> Records:
    """The records of experts, by what the manifests say."""
    manifests = _in_routing_order(experts)
    names = tuple(manifest["name"] for manifest in manifests)
    units = sorted({manifest["cost_unit"] for manifest in manifests})
    if len(units) != 1:
        raise OrxeError(f"the experts in {store.folder} have costs in {' and '.join(units)}: load those of one unit")
    counts = [_shard_count(store, dataset, manifest) for manifest in manifests]
    # The marks in the shards guarantee that all experts have the same samples: the ids are read once.
    ids = _sample_ids(store, names[0], counts[0])
    tables = [
        _Table(store, name, count, recording_mark(dataset, manifest))
        for name, count, manifest in zip(names, counts, manifests, strict=True)
    ]
    _check_contents(tables, ids)
    skipped = _skipped(tables, ids)
    rows = np.flatnonzero(np.all([table.valid for table in tables], axis=0))
    if not len(rows):
        raise OrxeError(f"no sample in {store.folder} was answered by all experts: {skipped[0][0]}: {skipped[0][1]}")
    score = np.stack([table.score[rows] for table in tables])
    targets = _targets(store, names[0], counts[0])
    records = Records.from_arrays(
        names,
        [manifest["cost"] for manifest in manifests],
        np.stack([table.confidence[rows] for table in tables]),
        score.astype(np.uint8) if np.isin(score, (0.0, 1.0)).all() else score,
        ids[rows].tolist(),
        shared_cost=[manifest.get("shared_cost", 0.0) for manifest in manifests],
        needs=[manifest.get("needs") for manifest in manifests],
        cost_unit=units[0],
        labels=None if targets is None else targets[rows],
        predictions=_predictions(tables, rows),
        params=np.array([manifest["params"] for manifest in manifests], dtype=np.int64),
        skipped=skipped,
        details=_details(dataset, manifests),
    )
    return agreement_records(records) if dataset.get("unlabelled") else records


def load_gate_inputs(folder: str | Path, expert: str, sample_ids: Iterable[str]) -> np.ndarray:
    """Inputs of an expert's ranking gate for some recorded samples, float32 (M, D), in the order of the ids.

    Raises:
        OrxeError: the folder was recorded without features, or lacks a sample.
    """
    store = RecordStore(folder)
    dataset, manifest = store.dataset(), store.known_expert(expert)
    if dataset is None or not dataset.get("features"):
        raise OrxeError(f"{store.folder} was recorded without features: record again with features, by --fresh")
    count = _shard_count(store, dataset, manifest)
    row_of: dict[str, np.ndarray] = {}
    for index in range(count):
        if "gate_input" in store.column_names(expert, index):
            part = store.read(expert, ["sample_id", "gate_input"], index)
            row_of |= dict(zip(part["sample_id"].tolist(), part["gate_input"], strict=True))
    ids = [str(sample) for sample in sample_ids]
    missing = [sample for sample in ids if sample not in row_of]
    if missing:
        raise OrxeError(f"{store.folder} has no features of sample {missing[0]!r} by expert {expert!r}")
    return np.stack([row_of[sample] for sample in ids])


def _in_routing_order(manifests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    for manifest in manifests:
        if manifest.get("cost") is None:
            raise OrxeError(f"the record of expert {manifest['name']!r} lacks its cost: record it again by --fresh")
    cost = {manifest["name"]: manifest["cost"] for manifest in manifests}
    shared = np.array([manifest.get("shared_cost", 0.0) for manifest in manifests])
    alone = shared + [manifest["cost"] + cost.get(manifest.get("needs"), 0.0) for manifest in manifests]
    return [manifests[i] for i in routing_order(alone, shared)]


class _Table:
    """One expert's shards: the small columns in memory, prediction columns read when they are asked for."""

    def __init__(self, store: RecordStore, name: str, count: int, mark: str) -> None:
        self.store, self.name, self.count = store, name, count
        self.reasons: dict[int, str] = {}
        #: hash of the files of each sample when it was recorded; None where that is not known
        self.contents: list[str | None] = []
        confidence, score, valid = [], [], []
        start = 0
        for index in range(count):
            part = store.read(name, ["confidence", "score", "error", "content"], index, mark)
            self.contents += part["content"].tolist() if "content" in part else [None] * len(part["error"])
            errors = part["error"]
            valid.append(np.array([error is None for error in errors]))
            self.reasons |= {start + i: errors[i] for i in np.flatnonzero(~valid[-1]).tolist()}
            confidence.append(part["confidence"])
            score.append(part["score"])
            start += len(errors)
        self.confidence, self.score, self.valid = map(np.concatenate, (confidence, score, valid))
        self.sizes = [len(part) for part in valid]

    def first_predictions(self) -> dict[str, np.ndarray]:
        """Prediction columns of the first shard that has a valid sample; empty if nothing is kept."""
        for index, _, valid in self._shards():
            if valid.any():
                names = [name for name in self.store.column_names(self.name, index) if name not in COLUMNS]
                return self.store.read(self.name, names, index)
        return {}

    def column(self, key: str, like: np.ndarray) -> np.ndarray:
        """A prediction column of every sample; rows of shards without a valid sample are undefined."""
        values = np.empty((len(self.valid), *like.shape[1:]), dtype=like.dtype)
        for index, rows, valid in self._shards():
            if valid.any():
                values[rows] = self.store.read(self.name, [key], index)[key]
        return values

    def _shards(self) -> Iterator[tuple[int, slice, np.ndarray]]:
        """Number, rows and validity of every shard."""
        start = 0
        for index, size in enumerate(self.sizes):
            rows = slice(start, start + size)
            yield index, rows, self.valid[rows]
            start += size


def _sample_ids(store: RecordStore, name: str, count: int) -> np.ndarray:
    return np.concatenate([store.read(name, ["sample_id"], index)["sample_id"] for index in range(count)])


def _targets(store: RecordStore, name: str, count: int) -> np.ndarray | None:
    """Targets of all samples; None unless all of them are numbers."""
    parts = [store.read(name, ["target"], index) for index in range(count)]
    return np.concatenate([part["target"] for part in parts]) if all("target" in part for part in parts) else None


def _shard_count(store: RecordStore, dataset: Mapping[str, Any], manifest: Mapping[str, Any]) -> int:
    count = -(-dataset["samples"] // manifest["shard_size"])
    there = {path.name for path in store.expert_folder(manifest["name"]).glob("shard-*.parquet")}
    # A manifest may speak of any number of shards: no more are looked for than files are there.
    missing = count - len(there)
    if missing <= 0:
        missing = sum(store.shard(manifest["name"], index).name not in there for index in range(count))
    if missing:
        raise OrxeError(
            f"the recording of expert {manifest['name']!r} in {store.folder} is unfinished: {missing} of {count} "
            f"shards are missing. Run the same `orxe record` again: it goes on where it stopped"
        )
    for index in range(count):
        store.check_shard(manifest["name"], index)
    return count


def _check_contents(tables: Sequence[_Table], ids: np.ndarray) -> None:
    """Raise where experts have seen different files of one sample: it changed between their recordings."""
    first, *others = tables
    for table in others:
        for row, (one, other) in enumerate(zip(first.contents, table.contents, strict=True)):
            if one != other and None not in (one, other):
                raise OrxeError(
                    f"the file of sample {str(ids[row])!r} changed between the recordings of experts {first.name!r} "
                    f"and {table.name!r} in {table.store.folder}: run the same `orxe record` again, which mends it"
                )


def _skipped(tables: Sequence[_Table], ids: np.ndarray) -> tuple[tuple[str, str], ...]:
    """(sample id, reasons) of every sample that some expert could not answer, in the data set's order."""
    reasons: dict[int, dict[str, None]] = {}
    for table in tables:
        for row, reason in table.reasons.items():
            reasons.setdefault(row, {})[reason] = None
    return tuple((str(ids[row]), "; ".join(found)) for row, found in sorted(reasons.items()))


def _predictions(tables: Sequence[_Table], rows: np.ndarray) -> dict[str, Any]:
    """The columns that all experts have in one shape, read now or, where they are large, later."""
    firsts = [table.first_predictions() for table in tables]
    columns: dict[str, Any] = {}
    for key, like in firsts[0].items():
        kinds = {(first[key].shape[1:], first[key].dtype) if key in first else None for first in firsts}
        if len(kinds) != 1:
            raise OrxeError(f"experts give predictions {key!r} of different shapes: {sorted(map(str, kinds))}")
        readers: list[Callable[[], np.ndarray]] = [partial(table.column, key, like) for table in tables]
        column = StoredColumn(readers, rows, like.shape[1:], like.dtype)
        each = sum(row.nbytes for row in like) / len(like)
        columns[key] = column if len(tables) * len(rows) * each > _LARGE_BYTES else np.asarray(column)
    return columns


def _details(dataset: Mapping[str, Any], manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    facts = ("name", "fingerprint", "samples", "contents", *SAID)
    setup = {key: value for key, value in dataset.items() if key not in ("schema", *OF_FILES, *facts)}
    weights = {manifest["name"]: manifest["weights"] for manifest in manifests if "weights" in manifest}
    return {
        "dataset": {key: dataset[key] for key in facts if key in dataset},
        **setup,
        "fingerprints": {manifest["name"]: manifest["fingerprint"] for manifest in manifests},
        "confidence": {manifest["name"]: manifest["parts"]["confidence"] for manifest in manifests},
        **({"weights": weights} if weights else {}),
        **_labels(manifests),
        **_views(manifests),
    }


def _views(manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What each classifier sees of an image, in words."""
    known = {manifest["name"]: manifest["parts"].get("view") for manifest in manifests}
    views = {name: view_text(ImageView.from_dict(dict(view))) for name, view in known.items() if view}
    return {"views": views} if views else {}


def _labels(manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Names of the classes that all experts answered in, where they have names."""
    known = [manifest["parts"].get("labels") for manifest in manifests]
    if not known or not all(known):
        return {}
    columns = {manifest["name"]: manifest["parts"]["labels"].get("columns") for manifest in manifests}
    return {"labels": list(known[0]["names"]), **({"columns": columns} if any(columns.values()) else {})}
