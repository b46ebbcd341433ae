"""Counting multiply-accumulate operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orxe_plugins.cost.macs import count_macs

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
