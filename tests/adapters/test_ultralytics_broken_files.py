"""Files that are no model of Ultralytics: one error that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orxe_plugins import OrxeError
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.experts.spec import ExpertSpec

pytest.importorskip("ultralytics")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.torchscript", b"junk"),
        ("x.torchscript", b""),
        ("x.pt", b"junk"),
        ("x.pt", b""),
        ("x.yaml", b"nc: 3\n"),
        ("x.yaml", b"nc: 3\nbackbone: [[-1, 1, Conv, [16, 3, 2]]]\n"),
        ("x.yaml", b"nc: 3\nbackbone: [[-1, 1, NoSuchLayer, [16, 3, 2]]]\nhead: []\n"),
        ("x.yaml", b"[1, 2"),
        ("x.yaml", b"- 1\n"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OrxeError, match=rf"expert .* cannot be loaded from '.*{name}': ") as caught:
        load_expert(f"ultralytics:{tmp_path / name}")
    assert "\n" not in str(caught.value)


def test_a_broken_onnx_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    (tmp_path / "x.onnx").write_bytes(b"junk")
    with pytest.raises(OrxeError, match=r"expert .* cannot be loaded from '.*x\.onnx': "):
        load_expert(f"ultralytics:{tmp_path / 'x.onnx'}?dnn=true")


def test_a_question_mark_in_a_path_is_pointed_out(tmp_path: Path, make_yolo: Callable[..., Path]) -> None:
    file = make_yolo(tmp_path / "plain.pt", "yolov8n.yaml").rename(tmp_path / "what?.pt")
    with pytest.raises(OrxeError, match=r"what\?\.pt.*name the file by the key `checkpoint`"):
        load_expert(f"ultralytics:{file}")
    with pytest.raises(OrxeError, match=r"takes no file with a \? in its path: rename '.*what\?\.pt'"):
        load_expert(ExpertSpec("ultralytics:what", checkpoint=str(file)))
