"""A run lists every folder once, loads every expert once and reads every record once."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orxe_plugins import cli
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.records.store import RecordStore
from orxe_plugins.run.recording import pool_view, record_pool
from orxe_plugins.run.run import Run

MakeRun = Callable[..., Run]


class Counts:
    """How often each data folder was listed, each checkpoint loaded and each shard read."""

    def __init__(self) -> None:
        self.listed: Counter[str] = Counter()
        self.loaded: Counter[str] = Counter()
        self.read: Counter[tuple[str, str, int]] = Counter()


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    import orxe_timm.experts

    found = Counts()
    init, load, read = ImageFolder.__init__, orxe_timm.experts.load_checkpoint, RecordStore.read

    def counted_init(self: ImageFolder, root: Path, *more: Any) -> None:
        found.listed[Path(root).name] += 1
        init(self, root, *more)

    def counted_load(module: Any, checkpoint: str, *more: Any) -> None:
        found.loaded[Path(checkpoint).stem] += 1
        load(module, checkpoint, *more)

    def counted_read(self: RecordStore, name: str, columns: list[str], index: int, mark: str | None = None) -> Any:
        if "score" in columns:
            found.read[self.folder.name, name, index] += 1
        return read(self, name, columns, index, mark)

    monkeypatch.setattr(ImageFolder, "__init__", counted_init)
    monkeypatch.setattr(orxe_timm.experts, "load_checkpoint", counted_load)
    monkeypatch.setattr(RecordStore, "read", counted_read)
    return found


@pytest.fixture
def orxe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["orxe", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code

    return run


EXPERTS = {"small": 1, "medium": 1, "large": 1}


@pytest.mark.parametrize(
    "overrides", [[], ["path=tensor"], ["cost={kind: latency, batch_size: 4, batch_sizes: [1, 2]}"]]
)
def test_a_run_lists_loads_and_reads_each_thing_once(
    tiny_recipe: Path, tmp_path: Path, counts: Counts, orxe: Callable[..., None], overrides: Sequence[str]
) -> None:
    orxe("run", tiny_recipe, "--out", tmp_path, *overrides)
    assert counts.listed == {"images": 1}
    assert counts.loaded == EXPERTS
    # Where time is the cost, the report reads the recorded costs once more, for the GMACs beside the milliseconds.
    times = 2 if any("latency" in override for override in overrides) else 1
    assert len(counts.read) == 3 * 7 and set(counts.read.values()) == {times}


def test_two_folders_are_listed_once_each_and_their_experts_loaded_once(
    tiny_recipe: Path, tmp_path: Path, counts: Counts, orxe: Callable[..., None]
) -> None:
    shutil.copytree(tiny_recipe / "images", tmp_path / "others")
    orxe("run", tiny_recipe, "--out", tmp_path / "out", f"data.report_root={tmp_path / 'others'}", "data.limit=9")
    assert counts.listed == {"images": 1, "others": 1}
    assert counts.loaded == EXPERTS
    assert {folder for folder, _, _ in counts.read} == {"records-fit", "records-report"}
    assert set(counts.read.values()) == {1}


def test_a_folder_that_is_recorded_with_and_without_augmentation_is_listed_once(
    tiny_recipe: Path, tmp_path: Path, counts: Counts, orxe: Callable[..., None]
) -> None:
    orxe("run", tiny_recipe, "--out", tmp_path, "record.augment=timm:rand-m9-mstd0.5", "data.limit=15")
    assert counts.listed == {"images": 1}
    assert counts.loaded == EXPERTS
    assert set(counts.read.values()) == {1}


def test_a_search_of_recorded_samples_needs_neither_images_nor_experts(
    make_run: MakeRun, tiny_recipe: Path, tmp_path: Path, counts: Counts, orxe: Callable[..., None]
) -> None:
    record_pool(make_run(tiny_recipe, tmp_path, "path=tensor"))
    for counter in (counts.listed, counts.loaded, counts.read):
        counter.clear()
    orxe("search", tiny_recipe, "--out", tmp_path, "path=tensor")
    assert not counts.listed and not counts.loaded
    assert set(counts.read.values()) == {1}
    orxe("eval", tiny_recipe, "--out", tmp_path, "path=tensor")
    assert counts.listed == {"images": 1} and not counts.loaded
    assert set(counts.read.values()) == {2}


def test_the_pools_view_is_known_without_weights(
    make_run: MakeRun, tiny_recipe: Path, tmp_path: Path, counts: Counts
) -> None:
    run = make_run(tiny_recipe, tmp_path)
    view = pool_view(run)
    assert view is not None and not counts.loaded
    sizes = [expert.view.size for expert in run.experts() if isinstance(expert, ClassifierExpert)]
    assert sizes == [(32, 32), (32, 32), (48, 48)]
    assert np.max(sizes) <= min(view.size)
