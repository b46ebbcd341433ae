from __future__ import annotations

import json
from pathlib import Path

import pytest

from orxe_plugins import ExpertSpec, OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.cascade.file import CascadeFile, read_cascade, write_cascade
from orxe_plugins.data.views import ImageView


def cascade_file(folder: Path) -> CascadeFile:
    weights = folder / "experts" / "small.safetensors"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"weights")
    rows = tuple(
        PolicyRow(p, Policy((t,), (0.0,)), c, s) for p, t, c, s in [(0.0, 0.0, 1.0, 0.5), (1.0, None, 3.0, 0.9)]
    )
    table = PolicyTable(rows, reference_cost=3.0, reference_score=0.9, n_samples=7, details={"split": "fit"})
    specs = (
        ExpertSpec("timm:resnet10t", name="small", checkpoint=str(weights), cost=1.0, confidence={"kind": "margin"}),
        ExpertSpec(
            "timm:resnet18", name="large", checkpoint="package:somewhere", options={"num_classes": 10}, cost=3.0
        ),
    )
    return CascadeFile(specs, table, "classification", ImageView((32, 32), 36, (0.5,), (0.5,)), "tensor")


def test_a_cascade_survives_its_folder_and_the_folder_may_move(tmp_path: Path) -> None:
    written = cascade_file(tmp_path / "run")
    write_cascade(tmp_path / "run" / "cascade", written)
    assert read_cascade(tmp_path / "run" / "cascade") == written
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = read_cascade(tmp_path / "moved" / "cascade")
    assert moved.specs[0].checkpoint == str(tmp_path / "moved" / "experts" / "small.safetensors")
    assert moved.table == written.table


def test_no_path_of_the_machine_is_in_the_file(tmp_path: Path) -> None:
    path = write_cascade(tmp_path / "cascade", cascade_file(tmp_path))
    assert str(tmp_path) not in path.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(schema_version=99), "schema version 99.*upgrade"),
        (lambda raw: raw.update(surprise=1), "surprise"),
        (lambda raw: raw.pop("experts"), "experts"),
        (lambda raw: raw["experts"].pop(), "1 exit_thresholds for 1 experts"),
        (lambda raw: raw["table"]["rows"][0].update(exit_thresholds=[1.5]), "1.5: expected a number"),
        (lambda raw: raw["table"]["rows"][0].pop("cost"), "cost"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(tmp_path: Path, change, message: str) -> None:
    path = write_cascade(tmp_path, cascade_file(tmp_path))
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(OrxeError, match=message):
        read_cascade(tmp_path)


def test_a_truncated_or_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="no cascade at"):
        read_cascade(tmp_path)
    path = write_cascade(tmp_path, cascade_file(tmp_path))
    path.write_text(path.read_text()[:100])
    with pytest.raises(OrxeError, match="not a readable cascade"):
        read_cascade(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_cascade(tmp_path, cascade_file(tmp_path))
    before = path.read_text()

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_cascade(tmp_path, cascade_file(tmp_path))
    assert path.read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cascade.json", "experts"]
