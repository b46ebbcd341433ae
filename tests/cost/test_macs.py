"""Counting multiply-accumulate operations."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orxe_plugins.cost.macs import cache_folder, cached_macs, count_macs, detector_macs

TOKENS, WIDTH = 16, 32


class Attention(nn.Module):
    """Self-attention without weights: two products of (tokens, width) matrices."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


def test_a_convolution_and_a_linear_layer_count_as_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 5 * 5, 10))
    assert count_macs(model, torch.zeros(1, 3, 5, 5)) == 25 * 8 * 3 * 9 + 200 * 10


def test_macs_are_those_of_one_sample() -> None:
    model = nn.Linear(7, 3)
    assert count_macs(model, torch.zeros(4, 7)) == 21


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_fused_attention_is_counted(device: str) -> None:
    x = torch.zeros(1, 4, TOKENS, WIDTH, device=device)
    assert count_macs(Attention(), x) == 2 * 4 * TOKENS * TOKENS * WIDTH


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_fast_path_of_multihead_attention_is_counted(device: str) -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, 4, dim_feedforward=64, batch_first=True, device=device)
    projections = TOKENS * WIDTH * (3 * WIDTH + WIDTH)
    attention = 2 * TOKENS * TOKENS * WIDTH
    mlp = TOKENS * 2 * WIDTH * 64
    assert count_macs(layer, torch.zeros(1, TOKENS, WIDTH, device=device)) == projections + attention + mlp


def test_counting_leaves_the_model_and_the_switches_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    model[1].eval()
    model[0].train()
    model.training = True
    torch.backends.mha.set_fastpath_enabled(True)
    count_macs(model, torch.zeros(1, 4))
    assert [part.training for part in model.modules()] == [True, True, False]
    assert torch.backends.mha.get_fastpath_enabled()


def test_figures_are_kept_in_the_folder_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORXE_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    counted = []

    def count() -> int:
        counted.append(1)
        return 12

    assert [cached_macs({"model": "a"}, count) for _ in range(2)] == [12, 12]
    assert len(counted) == 1
    cached_macs({"model": "b"}, count)
    assert len(counted) == 2
    (first, _) = sorted((tmp_path / "cache" / "macs").iterdir())
    first.write_text("broken")
    assert [cached_macs({"model": name}, count) for name in "ab"] == [12, 12]
    assert len(counted) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is that of Linux")
def test_by_default_they_are_kept_in_the_users_cache_as_in_version_0_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORXE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "orxe"


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ORXE_CACHE", str(tmp_path / "file"))
    assert cached_macs({"model": "a"}, lambda: 7) == 7


class BrightParts(nn.Module):
    """A detector that looks closer at whatever is bright: what it costs depends on the image."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 8)

    def forward(self, images: Sequence[np.ndarray]) -> Tensor:
        (image,) = images
        assert image.shape == (480, 640, 3) and image.dtype == np.uint8
        bright = int((image[..., 0] > 250).sum())
        return self.head(torch.zeros(bright, 4))


def test_a_detector_is_counted_on_an_image_of_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORXE_CACHE", str(tmp_path))
    macs = detector_macs(BrightParts())
    assert macs % 32 == 0 and macs / 32 == pytest.approx(480 * 640 * 5 / 256, rel=0.05)
    assert detector_macs(BrightParts(), {"model": "bright"}) == macs
    assert len(list(tmp_path.rglob("*.json"))) == 1
