from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orxe_plugins import OrxeError
from orxe_plugins.records.lock import folder_lock
from orxe_plugins.records.store import RecordStore

MARK = "a recording"
DATASET = {"name": "data", "samples": 4, "fingerprint": "f", "task": "t", "path": "originals"}


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """Two shards of one expert."""
    store = RecordStore(tmp_path / "records")
    store.make()
    store.write_dataset(DATASET)
    store.write_expert({"name": "timm:a/b", "cost": 1.0, **EXPERT})
    for index in range(2):
        columns = {"confidence": pa.array([index + 0.25, index + 0.5]), "score": pa.array([0.0, 1.0])}
        store.write_shard("timm:a/b", index, columns, MARK)
    return store


#: what every ``expert.json`` has
EXPERT = {"fingerprint": "f", "parts": {"confidence": {"kind": "k"}, "weights": "w"}, "params": 1,
          "cost_unit": "GMACs", "shard_size": 2, "batch_size": 2}  # fmt: skip


def test_what_is_written_can_be_read(store: RecordStore) -> None:
    assert store.experts() == ("timm:a/b",)
    assert store.dataset() == {"schema": 1, **DATASET}
    part = store.read("timm:a/b", ["confidence", "no such column"], 1, MARK)
    assert list(part) == ["confidence"]
    assert part["confidence"].tolist() == [1.25, 1.5]
    assert store.missing_shards("timm:a/b", 3, MARK) == [2]


@pytest.mark.parametrize("name", ["timm:a/b?x=[1, 2]", "../../outside", "con", "ä" * 300, "a b", ".", "A", "a"])
def test_every_name_has_a_folder_of_its_own_inside(tmp_path: Path, name: str) -> None:
    store = RecordStore(tmp_path)
    folder = store.expert_folder(name)
    assert folder.parent == tmp_path / "experts"
    assert len(folder.name.encode()) < 200
    store.write_expert({"name": name, **EXPERT})
    assert store.experts() == (name,)
    assert folder.name.lower() != store.expert_folder(name + "x").name.lower()


def test_names_that_differ_in_case_alone_have_two_folders(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    assert store.expert_folder("A").name.lower() != store.expert_folder("a").name.lower()


def test_a_shard_of_another_recording_or_place_is_refused(store: RecordStore) -> None:
    with pytest.raises(OrxeError, match="belongs to another recording: remove it"):
        store.missing_shards("timm:a/b", 2, "another")
    with pytest.raises(OrxeError, match="belongs to another recording"):
        store.read("timm:a/b", ["score"], 0, "another")
    first, second = store.shard("timm:a/b", 0), store.shard("timm:a/b", 1)
    second.write_bytes(first.read_bytes())
    assert store.missing_shards("timm:a/b", 2, MARK) == [1], "it is not what was written there: made again"


def test_a_damaged_shard_counts_as_missing_and_is_named_when_read(store: RecordStore) -> None:
    path = store.shard("timm:a/b", 0)
    path.write_bytes(path.read_bytes()[:50])
    assert store.missing_shards("timm:a/b", 2, MARK) == [0]
    with pytest.raises(OrxeError, match="is damaged .* run the same recording again"):
        store.read("timm:a/b", ["score"], 0)


def test_a_flipped_bit_in_the_values_is_found_when_they_are_read(store: RecordStore) -> None:
    path = store.shard("timm:a/b", 0)
    with pq.ParquetFile(path) as file:
        place = file.metadata.row_group(0).column(0).data_page_offset
        size = file.metadata.row_group(0).column(0).total_compressed_size
    damaged = bytearray(path.read_bytes())
    damaged[place + size - 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(OrxeError, match="is damaged"):
        store.read("timm:a/b", ["confidence"], 0, MARK)


def test_manifests_that_cannot_be_read_are_named(store: RecordStore) -> None:
    path = store.folder / "dataset.json"
    path.write_text("{")
    with pytest.raises(OrxeError, match=r"dataset\.json cannot be read: it is no JSON.*--fresh"):
        store.dataset()
    path.write_text(json.dumps({"schema": 99}))
    with pytest.raises(OrxeError, match=r"has schema 99: this version reads schema 1"):
        store.dataset()
    with pytest.raises(OrxeError, match="unknown expert in the records of .* did you mean 'timm:a/b'"):
        store.known_expert("timm:a/c")


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("")
    with pytest.raises(OrxeError, match="is a file"):
        RecordStore(tmp_path / "records").make()


def test_removing_leaves_what_others_put_there(store: RecordStore) -> None:
    (store.folder / "notes.txt").write_text("mine")
    (store.expert_folder("timm:a/b") / "notes.txt").write_text("mine")
    store.remove_all()
    left = sorted(path.name for path in store.folder.rglob("*") if path.is_file())
    assert left == ["notes.txt", "notes.txt"]
    assert store.experts() == () and store.dataset() is None


def test_leftovers_of_killed_runs_are_removed_and_nothing_else(store: RecordStore) -> None:
    folder = store.expert_folder("timm:a/b")
    (folder / ".shard-00002.parquet.abc123.tmp.parquet").write_bytes(b"half")
    (folder / ".hidden").write_text("mine")
    before = {path.name for path in folder.iterdir()}
    store.remove_leftovers()
    assert before - {path.name for path in folder.iterdir()} == {".shard-00002.parquet.abc123.tmp.parquet"}


def test_a_failing_write_leaves_the_old_shard(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(table: object, path: Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(pq, "write_table", fail)
    before = store.shard("timm:a/b", 0).read_bytes()
    with pytest.raises(OSError, match="no space left"):
        store.write_shard("timm:a/b", 0, {"score": pa.array([np.nan])}, MARK)
    assert store.shard("timm:a/b", 0).read_bytes() == before
    assert not list(store.folder.rglob("*.tmp*"))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        said = f"{tmp_path} is in use: process {os.getpid()} is recording into it. Wait until it has finished"
        with pytest.raises(OrxeError, match=re.escape(said)), folder_lock(tmp_path):
            pass
        # The one that was refused has taken nothing away.
        with pytest.raises(OrxeError, match=f"process {os.getpid()} is recording"), folder_lock(tmp_path):
            pass
    assert [path.name for path in tmp_path.iterdir()] in ([".lock"], [])
    with folder_lock(tmp_path):
        pass


HOLD = """
import sys, time
from pathlib import Path
from orxe_plugins.records.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(OrxeError, match=f"in use: process {holder.pid} is recording"), folder_lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
    with folder_lock(tmp_path):
        pass


def test_a_lock_is_released_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="work"), folder_lock(tmp_path):
        raise RuntimeError("work")
    with folder_lock(tmp_path):
        pass


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", no_locks)
    said = "has no locks.* record into an --out folder on a local disk"
    with pytest.raises(OrxeError, match=said), folder_lock(tmp_path):
        pass


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("dataset.json", "samples", "4"),
        ("dataset.json", "class_names", ["a", 1]),
        ("dataset.json", "contents", None),
        ("dataset.json", "seed", 0.5),
        ("dataset.json", "input_view", {"size": [8, 8], "resize": 8, "mean": ["x"]}),
        ("expert.json", "cost", "1"),
        ("expert.json", "cost", -1.0),
        ("expert.json", "shared_cost", None),
        ("expert.json", "needs", 3),
        ("expert.json", "weights", ["w"]),
        ("expert.json", "files", {"address": 1}),
        ("expert.json", "name", "a\nb"),
        ("expert.json", "parts.confidence", {"kind": 1}),
        ("expert.json", "parts.confidence", {}),
        ("expert.json", "parts.labels", {"names": ["a", "b"], "columns": [0]}),
        ("expert.json", "parts.labels", {"names": None}),
    ],
)
def test_a_value_of_a_manifest_that_does_not_fit_is_named(
    store: RecordStore, file: str, key: str, value: object
) -> None:
    path = next(store.folder.rglob(file))
    content = json.loads(path.read_text())
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        place = place[parent]
    place[last] = value
    path.write_text(json.dumps(content))
    with pytest.raises(OrxeError, match=rf"{re.escape(str(path))}.*{last}"):
        store.dataset() if file == "dataset.json" else store.experts()


def test_a_manifest_in_the_folder_of_another_expert_is_refused(store: RecordStore) -> None:
    path = next(store.folder.rglob("expert.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": "other"}))
    with pytest.raises(OrxeError, match="is about expert 'other', whose folder would be 'other-"):
        store.experts()
