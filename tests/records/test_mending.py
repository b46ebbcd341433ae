"""Records follow the files: a changed image, a sample that can be read by now, a damaged shard, another plugin."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.records import RecordOptions, load_records, record
from orxe_plugins.tasks import Classification


def shards(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("shard-*.parquet"))}


def replace_image(path: Path, like: Path, keep_time: bool) -> None:
    """Another image of the same number of bytes."""
    before = path.stat()
    data = like.read_bytes()
    size = max(before.st_size, len(data))
    path.write_bytes(data + b"\0" * (size - len(data)))
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_changed_image_alone_is_recorded_again(recording: ModuleType, own_images: Path, tmp_path: Path) -> None:
    pool = recording.experts(2)
    before = recording.run(pool, own_images, tmp_path / "records", keep="all")
    old = shards(tmp_path / "records")
    changed = own_images / "bee" / "003.JPEG"
    replace_image(changed, own_images / "ant" / "001.JPEG", keep_time=False)
    seen: list[str] = []
    load = ImageFolder.load

    def noted(self: ImageFolder, index: int) -> Image.Image:
        seen.append(self.sample_ids[index])
        return load(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFolder, "load", noted)
        after = recording.run(pool, own_images, tmp_path / "records", keep="all")
    assert set(seen) == {"bee/003.JPEG"} and len(seen) == 2
    new = shards(tmp_path / "records")
    assert sum(old[name] != new[name] for name in old) == 2
    whole = recording.run(pool, own_images, tmp_path / "whole", keep="all")
    np.testing.assert_allclose(after.confidence, whole.confidence, rtol=1e-5)
    np.testing.assert_allclose(
        np.asarray(after.predictions["logits"]), np.asarray(whole.predictions["logits"]), atol=1e-5
    )
    row = after.sample_ids.tolist().index("bee/003.JPEG")
    differ = np.flatnonzero((np.asarray(before.confidence) != np.asarray(after.confidence)).any(axis=0))
    assert differ.tolist() == [row]
    assert before.details["dataset"]["contents"] != after.details["dataset"]["contents"]
    assert before.details["dataset"]["fingerprint"] == after.details["dataset"]["fingerprint"]


def test_samples_that_could_not_be_read_are_tried_again(
    recording: ModuleType, own_images: Path, tmp_path: Path
) -> None:
    pool = recording.experts(1)
    good = (own_images / "cat" / "002.JPEG").read_bytes()
    (own_images / "cat" / "002.JPEG").write_bytes(b"x" * len(good))
    first = recording.run(pool, own_images, tmp_path / "records")
    assert [name for name, _ in first.skipped] == ["cat/002.JPEG"]
    again = shards(tmp_path / "records")
    assert recording.run(pool, own_images, tmp_path / "records").skipped == first.skipped
    assert shards(tmp_path / "records") == again
    (own_images / "cat" / "002.JPEG").write_bytes(good)
    assert recording.run(pool, own_images, tmp_path / "records").skipped == ()


def test_a_flipped_bit_is_found_and_mended(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    pool = recording.experts(1)
    recording.run(pool, images, tmp_path, keep="all")
    good = shards(tmp_path)
    name = next(iter(good))
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, len(good[name]), 12).tolist(), len(good[name]) - 20]:
        spoiled = bytearray(good[name])
        spoiled[place] ^= 1 << int(rng.integers(8))
        (tmp_path / name).write_bytes(spoiled)
        with pytest.raises(OrxeError, match="is damaged: run the same recording again, which mends it"):
            load_records(tmp_path)
        recording.run(pool, images, tmp_path, keep="all")
        assert pq.read_table(tmp_path / name).equals(pq.read_table(_written(tmp_path, name, good[name])))


def _written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / "good.parquet"
    path.write_bytes(data)
    return path


def test_records_of_0_1_0_load_and_go_on(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    """They have no hashes of images, no sums of shards and no fingerprints of files."""
    import json

    pool = recording.experts(1)
    new = recording.run(pool, images, tmp_path)
    for path in tmp_path.rglob("shard-*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["content"]).replace_schema_metadata(table.schema.metadata), path)
        path.with_suffix(".sum").unlink()
    for path, keys in ((tmp_path / "dataset.json", ("identity", "contents")),
                       (next(tmp_path.rglob("expert.json")), ("weights", "files"))):  # fmt: skip
        raw = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in raw.items() if key not in keys}))
    (tmp_path / "contents.parquet").unlink()
    old = shards(tmp_path)
    assert load_records(tmp_path).confidence.tolist() == new.confidence.tolist()
    recording.run(pool, images, tmp_path)
    assert shards(tmp_path) == old


def test_another_plugin_is_another_expert(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    pool = recording.experts(1)

    def run(plugin: str | None, fresh: bool = False) -> None:
        options = RecordOptions(shard_size=16, plugin=plugin, fresh=fresh)
        record(pool, ImageFolder(images), tmp_path, task=Classification(), options=options)

    run("one")
    run("one")
    with pytest.raises(OrxeError, match="with another plugin file"):
        run("other")
    run("other", fresh=True)
