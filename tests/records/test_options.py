"""RecordOptions, and the keyword arguments of version 0.1 that became part of them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orxe_plugins import OrxeError
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.data.views import ImageView
from orxe_plugins.records import RecordOptions, record
from orxe_plugins.tasks import Classification

VIEW = ImageView((12, 12), 14)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_mode": "sideways"}, "input_mode is 'sideways': expected one of originals, tensor"),
        ({"input_mode": "tensor"}, "input_mode 'tensor' needs input_view="),
        ({"input_view": VIEW}, "leave input_view out"),
        ({"batch_size": 0}, "batch_size is 0: expected at least 1"),
        ({"shard_size": -1}, "shard_size is -1: expected at least 1"),
    ],
)
def test_what_does_not_fit_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        RecordOptions(**wrong)


def test_old_keyword_arguments_warn_and_record_the_same(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    new = RecordOptions("tensor", VIEW, keep="all", batch_size=5, shard_size=10, workers=0)
    data, task = ImageFolder(images), Classification()
    record(recording.experts(1), data, tmp_path / "new", task=task, options=new)
    with pytest.warns(DeprecationWarning, match=r"path=.*is deprecated.*RecordOptions\(input_mode="):
        record(
            recording.experts(1), data, tmp_path / "old", task=task,
            path="tensor", input_view=VIEW, keep="all", batch_size=5, shard_size=10, workers=0,
        )  # fmt: skip
    assert recording.content(tmp_path / "old") == recording.content(tmp_path / "new")


def test_an_unknown_keyword_argument_is_named(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="unknown option of record 'batchsize': did you mean 'batch_size'"):
        record(recording.experts(1), ImageFolder(images), tmp_path, task=Classification(), batchsize=5)
    assert not list(tmp_path.iterdir())


def test_the_description_on_disk_keeps_its_keys(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    records = recording.run(recording.experts(1), images, tmp_path, input_mode="tensor", input_view=VIEW)
    assert records.details["path"] == "tensor"
    assert b'"to_tensor": null' in (tmp_path / "dataset.json").read_bytes()
