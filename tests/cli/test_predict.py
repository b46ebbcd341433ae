"""`orxe predict`: what it takes, what it answers, and what it says of what it cannot read."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orxe_plugins.cli import videos
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert

Orxe = Callable[..., Any]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def photos(tiny_recipe: Path, tmp_path: Path) -> Path:
    """A folder of four images, one of them deeper, and two files that are none."""
    folder = tmp_path / "my photos"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.JPG", "deep/c.jpg", "d.jpg")):
        shutil.copy(tiny_recipe / "images" / "bee" / f"{number:02d}.jpg", folder / name)
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.jpg").write_bytes(b"x")
    return folder


def test_classes_are_named_and_every_line_says_who_answered(finished: Path, photos: Path, orxe: Orxe) -> None:
    done = orxe("predict", finished, photos / "a.jpg", photos / "d.jpg", "--preference", "1", "--batch-size", 1)
    assert done.code == 0
    found = rows(done.out)
    assert [row["image"] for row in found] == [str(photos / "a.jpg"), str(photos / "d.jpg")]
    assert {row["answer"] for row in found} <= {"ant", "bee", "cat"}
    assert all(row["expert"] in ("small", "medium", "large") for row in found)
    assert all(0 <= float(row["confidence"]) <= 1 and float(row["cost"]) > 0 for row in found)
    assert {row["cost_unit"] for row in found} == {"GMACs"}
    in_cascade = orxe("predict", finished / "cascade", photos / "a.jpg", photos / "d.jpg", "--preference", "1")
    assert rows(in_cascade.out) == found


def test_folders_and_patterns_are_taken_and_what_is_left_out_is_said(finished: Path, photos: Path, orxe: Orxe) -> None:
    done = orxe("predict", finished, photos)
    assert done.code == 0
    assert [Path(row["image"]).name for row in rows(done.out)] == ["a.jpg", "b.JPG", "d.jpg", "c.jpg"]
    assert f"1 of 5 files in {photos} are left out, as they are no images: notes.txt" in done.err
    deep = orxe("predict", finished, f"{photos}/**/[ac].jpg")
    assert [Path(row["image"]).name for row in rows(deep.out)] == ["a.jpg", "c.jpg"]


def test_json_lines_hold_the_same_and_the_index_of_the_class(finished: Path, photos: Path, orxe: Orxe) -> None:
    plain, answers = orxe("predict", finished, photos), orxe("predict", finished, photos, "--json")
    for row, line in zip(rows(plain.out), lines(answers.out), strict=True):
        assert [row["image"], row["answer"], row["expert"]] == [line["image"], line["answer"], line["expert"]]
        assert ["ant", "bee", "cat"][line["class"]] == line["answer"]


def test_answers_are_written_to_a_file(finished: Path, photos: Path, tmp_path: Path, orxe: Orxe) -> None:
    done = orxe("predict", finished, photos, "--out", tmp_path / "new" / "answers.csv")
    assert (done.code, done.out) == (0, "")
    assert len(rows((tmp_path / "new" / "answers.csv").read_text())) == 4
    assert "answering: 4 done in" in done.err
    refused = orxe("predict", finished, photos, "--out", tmp_path)
    assert refused.code == 2 and "cannot be written" in refused.err


def test_what_cannot_be_read_is_named_and_the_rest_is_answered(finished: Path, photos: Path, orxe: Orxe) -> None:
    data = (photos / "a.jpg").read_bytes()
    (photos / "b.JPG").write_bytes(data[:100])
    done = orxe("predict", finished, photos, photos / "gone.png", f"{photos}/*.gif", "--batch-size", 2)
    assert done.code == 1
    assert [Path(row["image"]).name for row in rows(done.out)] == ["a.jpg", "d.jpg", "c.jpg"]
    assert f"skipped {photos / 'b.JPG'}: cannot be decoded" in done.err
    assert f"skipped {photos / 'gone.png'}: the file is missing" in done.err
    assert f"skipped {photos}/*.gif: no file matches" in done.err
    assert "3 images answered, 3 could not be" in done.err
    refused = orxe("predict", finished, photos / "b.JPG")
    assert refused.code == 2 and "none of the 1 files is a readable image" in refused.err
    assert orxe("predict", finished, photos / "deep" / "none").code == 2


def test_how_far_on_the_safe_side_a_drop_is_can_be_said(finished: Path, photos: Path, orxe: Orxe) -> None:
    asked = ("predict", finished, photos / "a.jpg", "--max-drop", "0.9", "--safety")
    assert orxe(*asked, "0").code == 0
    refused = orxe(*asked, "-1")
    assert refused.code != 0 and "--safety" in refused.err


def test_two_ways_to_choose_a_policy_are_refused(finished: Path, photos: Path, orxe: Orxe) -> None:
    two = orxe("predict", finished, photos, "--preference", "1", "--budget", "1")
    assert two.code == 2 and two.err.splitlines()[-1].startswith("error: ")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Seven frames, each of another grey."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (48, 32))
    for number in range(7):
        writer.write(np.full((32, 48, 3), 30 * number, dtype=np.uint8))
    writer.release()
    if not path.is_file() or not path.stat().st_size:
        pytest.skip("this OpenCV writes no videos")
    return path


def test_frames_of_a_video_are_answered(finished: Path, video: Path, orxe: Orxe) -> None:
    done = orxe("predict", finished, video, "--every", 3, "--json")
    assert done.code == 0
    assert [(line["frame"], line["seconds"]) for line in lines(done.out)] == [(0, 0.0), (3, 0.3), (6, 0.6)]
    plain = orxe("predict", finished, video.parent, "--every", 3)
    assert [row["image"] for row in rows(plain.out)] == [f"{video}#{number}" for number in (0, 3, 6)]


def test_frames_come_in_order_and_in_rgb(video: Path) -> None:
    found = list(videos.frames(video, 2))
    assert [number for number, _, _ in found] == [0, 2, 4, 6]
    greys = [float(np.asarray(image).mean()) for _, _, image in found]
    assert greys == pytest.approx([0, 60, 120, 180], abs=4)


def test_a_broken_video_is_named(finished: Path, photos: Path, orxe: Orxe) -> None:
    pytest.importorskip("cv2")
    (photos / "broken.mp4").write_bytes(b"no video at all")
    done = orxe("predict", finished, photos)
    assert done.code == 1 and len(rows(done.out)) == 4
    assert f"skipped {photos / 'broken.mp4'}: " in done.err


def test_without_a_reader_of_videos_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "_READERS", {"no_such_module": None})
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(OrxeError, match="clip.mp4 is a video, and no reader .*\npip install av"):
        next(videos.frames(tmp_path / "clip.mp4"))


def test_detections_are_boxes_with_names(tmp_path: Path) -> None:
    import torch

    from orxe_plugins.detection.detections import Detections
    from orxe_plugins.tasks.task import task_named

    boxes = torch.tensor([[0.0, 1.0, 8.04, 9.0], [2.0, 2.0, 4.0, 4.0]])
    found = Detections(boxes, torch.tensor([0.25, 0.75]), torch.tensor([1, 0]), ("ant", "bee"))
    (value,) = task_named("detection").values([found])
    assert value["objects"] == [
        {"name": "ant", "label": 0, "score": 0.75, "box": [2.0, 2.0, 4.0, 4.0]},
        {"name": "bee", "label": 1, "score": 0.25, "box": [0.0, 1.0, 8.0, 9.0]},
    ]


def test_an_image_of_16_bits_is_read_as_the_recorder_reads_it(finished: Path, tmp_path: Path, orxe: Orxe) -> None:
    Image.fromarray(np.full((40, 40), 30000, dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((40, 40), 30000 >> 8, dtype=np.uint8)).save(tmp_path / "flat.png")
    deep, flat = rows(orxe("predict", finished, tmp_path / "deep.png", tmp_path / "flat.png").out)
    assert {**deep, "image": ""} == {**flat, "image": ""}


def test_images_that_experts_fail_on_are_named_and_the_others_are_answered(
    finished: Path, photos: Path, orxe: Orxe, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows(orxe("predict", finished, photos).out)
    bad = np.asarray(Image.open(whole[0]["image"]).convert("RGB"))
    run, last_alone = Expert.run, [False]

    def failing(self: Expert, batch: Any, context: Any = None) -> Any:
        fails = self.name == whole[0]["expert"] or not last_alone[0]
        if fails and any(np.array_equal(np.asarray(image), bad) for image in batch):
            raise RuntimeError("no such luck")
        return run(self, batch, context)

    monkeypatch.setattr(Expert, "run", failing)
    done = orxe("predict", finished, photos, "--on-error", "best_available", "--batch-size", 3)
    assert done.code == 1 and f"skipped {whole[0]['image']}: RuntimeError: no such luck" in done.err
    assert rows(done.out) == [{**row, "faults": ""} for row in whole[1:]]
    with pytest.raises(RuntimeError, match="no such luck"):
        orxe("predict", finished, photos)
    # An expert before or behind the one that fails answers, if there is one under this policy.
    last_alone[0] = True
    done = orxe("predict", finished, photos, "--on-error", "best_available", "--json")
    assert done.code == 1
    marked = [line for line in lines(done.out) if "faults" in line]
    if marked:
        assert [line["image"] for line in marked] == [whole[0]["image"]] and marked[0]["expert"] != whole[0]["expert"]
        assert marked[0]["faults"] == [f"{whole[0]['expert']}: RuntimeError: no such luck"]
        assert f"marked {whole[0]['image']}: " in done.err and "experts failed on 1 of the images" in done.err
    else:
        assert f"skipped {whole[0]['image']}: " in done.err
    refused = orxe("predict", finished, photos, "--on-error", "ignore")
    assert refused.code == 2 and "on_error is 'ignore'" in refused.err
