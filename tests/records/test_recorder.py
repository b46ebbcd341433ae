from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageOps

from orxe_plugins import OrxeError, Policy
from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.evaluation.routed import disagreements, run_routed
from orxe_plugins.records import load_records
from orxe_plugins.tasks import Classification


def test_records_say_what_the_experts_say(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    pool = recording.experts(2)
    records = recording.run(pool, images, tmp_path, keep="all")
    dataset = ImageFolder(images)
    originals = [dataset.load(i) for i in range(len(dataset))]
    assert records.names == ("net:0", "net:1")
    assert records.sample_ids.tolist() == list(dataset.sample_ids)
    assert records.labels is not None
    assert records.labels.tolist() == list(dataset.targets)
    for i, expert in enumerate(pool):
        with torch.no_grad():
            probabilities = expert(originals).softmax(1)
        np.testing.assert_allclose(records.confidence[i], probabilities.amax(1), rtol=1e-5)
        right = probabilities.argmax(1).numpy() == np.array(dataset.targets)
        assert records.score[i].tolist() == right.astype(int).tolist()
        assert records.cost[i] == pytest.approx(expert.measure_cost())


def test_three_kills_at_random_points_change_nothing(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    script = Path(str(recording.__file__))
    command = [sys.executable, str(script), "record", str(images)]
    subprocess.run([*command, str(whole)], check=True)
    shards = len(list(whole.rglob("shard-*.parquet")))
    chance = random.Random(0)
    for kill in range(3):
        wanted = chance.randint(1, shards // 4) + len(list(killed.rglob("shard-*.parquet")))
        process = subprocess.Popen([*command, str(killed)])
        while process.poll() is None and len(list(killed.rglob("shard-*.parquet"))) < wanted:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"run {kill} ended before it was killed"
        with pytest.raises(OrxeError, match=r"unfinished|holds no records|unknown expert"):
            load_records(killed, ["net:0", "net:1", "net:2"])
    subprocess.run([*command, str(killed)], check=True)
    assert recording.content(killed) == recording.content(whole)


def test_a_finished_recording_is_not_made_again(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    recording.run(recording.experts(1), images, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("shard-*.parquet")}
    records = recording.run(recording.experts(2), images, tmp_path)
    assert records.n_experts == 2
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_damaged_and_lost_shards_are_made_again(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    recording.run(recording.experts(1), images, tmp_path)
    before = recording.content(tmp_path)
    first, second, *_ = sorted(tmp_path.rglob("shard-*.parquet"))
    first.write_bytes(first.read_bytes()[:100])
    second.unlink()
    recording.run(recording.experts(1), images, tmp_path)
    assert recording.content(tmp_path) == before


def test_records_of_another_data_set_are_refused(recording: ModuleType, own_images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    recording.run(recording.experts(1), own_images, folder)
    before = recording.content(folder)
    (own_images / "ant" / "more.png").write_bytes(next(own_images.rglob("*.JPEG")).read_bytes())
    with pytest.raises(OrxeError, match="another data set") as caught:
        recording.run(recording.experts(1), own_images, folder)
    assert "--fresh" in str(caught.value)
    assert recording.content(folder) == before
    assert len(recording.run(recording.experts(1), own_images, folder, fresh=True)) == 46


def test_an_expert_with_other_weights_is_refused(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    recording.run([recording.expert(0, name="a")], images, tmp_path)
    with pytest.raises(OrxeError, match="other weights"):
        recording.run([recording.expert(1, name="a")], images, tmp_path)


def test_another_input_mode_is_refused(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    pool = recording.experts(1)
    recording.run(pool, images, tmp_path)
    with pytest.raises(OrxeError, match="path 'originals', now path 'tensor'"):
        recording.run(pool, images, tmp_path, input_mode="tensor", input_view=pool[0].view)


def test_bad_images_are_counted_and_listed(recording: ModuleType, own_images: Path, tmp_path: Path) -> None:
    files = sorted((own_images / "bee").iterdir())
    files[0].write_bytes(files[0].read_bytes()[:200])
    files[1].write_bytes(b"")
    files[2].write_text("no image")
    records = recording.run(recording.experts(2), own_images, tmp_path / "records")
    assert len(records) == 42
    reasons = dict(records.skipped)
    assert set(reasons) == {f"bee/{file.name}" for file in files[:3]}
    assert reasons[f"bee/{files[0].name}"].startswith("cannot be decoded")
    assert reasons[f"bee/{files[1].name}"] == "the file is empty"
    assert reasons[f"bee/{files[2].name}"] == "not an image file"


def test_samples_with_nan_logits_are_left_out(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    class SometimesNan(recording.Net):  # type: ignore[name-defined,misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = super().forward(x)
            return torch.where(x.mean(dim=(1, 2, 3), keepdim=False)[:, None] > 0.5, float("nan"), logits)

    records = recording.run([recording.expert(0, module=SometimesNan(0))], images, tmp_path)
    assert 0 < len(records) < 45
    assert len(records) + len(records.skipped) == 45
    assert all("NaN" in reason for _, reason in records.skipped)


def test_an_expert_that_always_answers_nan_is_an_error(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    net = recording.Net(0)
    torch.nn.init.constant_(net.fc.weight, float("nan"))
    with pytest.raises(OrxeError, match="NaN"):
        recording.run([recording.expert(0, module=net)], images, tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "does not exist"),
        (lambda root: root.mkdir(), "is empty"),
        (lambda root: (root / "ant").mkdir(parents=True), "no image in them"),
        (lambda root: (root / "train" / "ant").mkdir(parents=True), "holds the splits train"),
    ],
)
def test_folders_without_images_are_named(tmp_path: Path, make: object, message: str) -> None:
    make(tmp_path / "data")  # type: ignore[operator]
    with pytest.raises(OrxeError, match=message):
        ImageFolder(tmp_path / "data")


def test_shards_hold_the_top_classes(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    recording.run(recording.experts(1), images, tmp_path)
    table = pq.read_table(next(tmp_path.rglob("shard-*.parquet")))
    assert {"sample_id", "confidence", "score", "target"} < set(table.column_names)
    records = load_records(tmp_path)
    assert records.predictions["classes"].shape == (1, 45, 3)
    log_prob = records.predictions["log_probs"]
    assert (np.diff(log_prob, axis=2) <= 0).all()
    np.testing.assert_allclose(np.exp(log_prob[:, :, 0].astype(float)), records.confidence, rtol=1e-2)


class Flip:
    """An augmentation with chance in it."""

    name = "flip"

    def __call__(self, image: Image.Image) -> Image.Image:
        return ImageOps.mirror(image) if random.random() < 0.5 else image


def test_augmentation_is_the_same_for_a_sample_whenever_it_is_recorded(
    recording: ModuleType, images: Path, tmp_path: Path
) -> None:
    plain = recording.run(recording.experts(1), images, tmp_path / "plain")
    once = recording.run(recording.experts(1), images, tmp_path / "once", augment=Flip())
    again = recording.run(recording.experts(1), images, tmp_path / "again", augment=Flip(), workers=1)
    np.testing.assert_array_equal(once.confidence, again.confidence)
    changed = (once.confidence != plain.confidence).mean()
    assert 0.2 < changed < 0.8
    assert once.details["augment"] == "flip"


@pytest.mark.parametrize("mode", ["originals", "tensor"])
def test_routed_inference_equals_replay(recording: ModuleType, images: Path, tmp_path: Path, mode: str) -> None:
    pool = recording.experts(3)
    cascade = Cascade(pool, Policy((0.5, 0.5)))
    view = cascade.input_view if mode == "tensor" else None
    records = recording.run(pool, images, tmp_path, input_mode=mode, input_view=view)
    dataset = ImageFolder(images)
    median = np.median(records.confidence, axis=1)
    policies = [
        Policy((float(median[0]), float(median[1]))),
        Policy((float(median[0]), float(median[1])), (0.0, float(np.quantile(records.confidence[0], 0.2)))),
        Policy((None, float(median[1]))),
        Policy.only(0, 3),
        Policy.never(3),
    ]
    for policy in policies:
        cascade.policy = policy
        for batch_size in (1, 7, 64):
            routed = run_routed(cascade, dataset, Classification(), input_mode=mode, batch_size=batch_size)
            assert disagreements(routed, records, policy) == []


def test_a_shard_that_was_moved_from_elsewhere_is_refused(recording: ModuleType, images: Path, tmp_path: Path) -> None:
    recording.run([recording.expert(0, name="a")], images, tmp_path / "one")
    recording.run([recording.expert(1, name="a")], images, tmp_path / "two")
    (mine,), (other,) = ([*(tmp_path / name).rglob("shard-00000.parquet")] for name in ("one", "two"))
    shutil.copy(other, mine)
    with pytest.raises(OrxeError, match="shard-00000"):
        load_records(tmp_path / "one")


def test_an_exit_is_recorded_alone_and_loaded_with_the_expert_that_it_needs(
    recording: ModuleType, images: Path, tmp_path: Path
) -> None:
    saver, later = recording.experts(2)
    later.needs = saver.name
    recording.run([saver], images, tmp_path)
    records = recording.run([later], images, tmp_path)
    assert records.names == (saver.name, later.name)
    assert records.needs == (-1, 0)
