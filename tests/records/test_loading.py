from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from orxe_plugins import OrxeError
from orxe_plugins.records import load_records, loading
from orxe_plugins.records.columns import StoredColumn
from orxe_plugins.records.store import RecordStore


@pytest.fixture(scope="module")
def folder(recording: ModuleType, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three experts on 45 images; not to be changed."""
    folder = tmp_path_factory.mktemp("records")
    recording.run(recording.experts(3), images, folder)
    return folder


def test_experts_come_cheapest_first_whatever_order_they_were_recorded_in(
    recording: ModuleType, images: Path, folder: Path, tmp_path: Path
) -> None:
    records = recording.run(recording.experts(3)[::-1], images, tmp_path)
    assert records.names == ("net:0", "net:1", "net:2")
    assert (np.diff(records.cost) > 0).all()
    np.testing.assert_array_equal(records.confidence, load_records(folder).confidence)


def test_some_experts_may_be_loaded(folder: Path) -> None:
    assert load_records(folder, ["net:2", "net:0"]).names == ("net:0", "net:2")
    with pytest.raises(OrxeError, match="unknown expert in the records of .*'net:7'"):
        load_records(folder, ["net:0", "net:7"])


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="holds no records: make some by `orxe record RECIPE --out"):
        load_records(tmp_path)


def test_an_unfinished_recording_says_how_to_go_on(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    recording.run(recording.experts(1), images, tmp_path)
    sorted(tmp_path.rglob("shard-*.parquet"))[1].unlink()
    with pytest.raises(OrxeError, match=r"unfinished: 1 of 6 shards are missing. Run the same `orxe record` again"):
        load_records(tmp_path)


def test_a_manifest_that_speaks_of_countless_samples_is_refused_at_once(
    recording: ModuleType, images: Path, tmp_path: Path
) -> None:
    recording.run(recording.experts(1), images, tmp_path)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "samples": 10**12}))
    with pytest.raises(OrxeError, match=r"unfinished: \d{12} of \d{12} shards are missing"):
        load_records(tmp_path)


def test_costs_of_two_units_do_not_mix(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    recording.run([recording.expert(0)], images, tmp_path)
    timed = recording.expert(1)
    timed.cost = 3.5
    recording.run([timed], images, tmp_path, cost_unit="ms")
    with pytest.raises(OrxeError, match="costs in GMACs and ms: load those of one unit"):
        load_records(tmp_path)
    assert load_records(tmp_path, ["net:1"]).cost_unit == "ms"


def test_records_say_how_they_were_made(folder: Path) -> None:
    records = load_records(folder)
    details = records.details
    assert details["dataset"]["samples"] == 45
    assert (details["task"], details["path"], details["augment"]) == ("classification", "originals", None)
    assert set(details["fingerprints"]) == set(records.names)
    assert records.params is not None and records.params.tolist() == [127, 158, 189]


def test_large_predictions_stay_on_disk_and_say_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load_records(folder).samples(np.arange(3, 30, 2))
    monkeypatch.setattr(loading, "_LARGE_BYTES", 0)
    there = load_records(folder).samples(np.arange(3, 30, 2))
    assert isinstance(there.predictions["classes"], StoredColumn)
    for key, values in here.predictions.items():
        np.testing.assert_array_equal(np.asarray(there.predictions[key]), values)


def test_a_manifest_of_another_data_set_does_not_fit_its_shards(
    recording: ModuleType, images: Path, tmp_path: Path
) -> None:
    recording.run(recording.experts(1), images, tmp_path)
    store = RecordStore(tmp_path)
    manifest = store.dataset()
    assert manifest is not None
    store.write_dataset({**manifest, "fingerprint": "0" * 64})
    with pytest.raises(OrxeError, match="belongs to another recording"):
        load_records(tmp_path)
