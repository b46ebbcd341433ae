"""Training batches with AutoAugment, mixup and cutmix, as TinySaver's Table 7 has them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from orxe_plugins import OrxeError

mixed_batches = pytest.importorskip("orxe_timm").mixed_batches


def images(count: int = 10) -> tuple[Tensor, Tensor]:
    """Image k is grey of the value 20 k, and its class is k."""
    values = 20 * torch.arange(count, dtype=torch.uint8)
    return values.view(-1, 1, 1, 1).repeat(1, 3, 8, 8), torch.arange(count)


def test_every_image_comes_in_every_copy_and_is_mixed_with_another() -> None:
    pixels, targets = images()
    batches = list(mixed_batches(pixels, targets, 10, copies=3, batch_size=4, auto_augment=None))
    assert [len(rows) for rows, _ in batches] == [4] * 7 + [2]
    seen = torch.cat([soft for _, soft in batches])
    torch.testing.assert_close(seen.sum(1), torch.ones(30))
    assert ((seen > 0).sum(1) <= 2).all()
    assert (seen > 0).sum() > 45  # nearly all are mixed
    # Every row is what it says it is: the mean brightness of a mixture is the mixture of both.
    brightness = torch.cat([rows for rows, _ in batches]).float().mean((1, 2, 3))
    torch.testing.assert_close(brightness, seen @ (20 * torch.arange(10.0)), atol=0.6, rtol=0)


def test_the_same_seed_gives_the_same_batches_and_leaves_all_generators_alone() -> None:
    pixels, targets = images()

    def drawn(seed: int) -> Tensor:
        return torch.cat([rows for rows, _ in mixed_batches(pixels, targets, 10, copies=2, seed=seed)])

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first = drawn(0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[:2]
    assert torch.equal(torch.get_rng_state(), states[2])
    assert torch.equal(drawn(0), first)
    assert not torch.equal(drawn(1), first)


def test_nothing_is_mixed_where_both_alphas_are_0() -> None:
    pixels, targets = images()
    options = {"mixup": 0.0, "cutmix": 0.0, "auto_augment": None, "batch_size": 6}
    for rows, soft in mixed_batches(pixels, targets, 10, before=lambda batch: batch + 1, **options):
        assert torch.equal(rows.float().mean((1, 2, 3)), 20.0 * soft.argmax(1) + 1)
        assert soft.max(1).values.eq(1).all()


def test_bad_input_is_named() -> None:
    pixels, targets = images()
    with pytest.raises(OrxeError, match="batch_size is 3: expected an even number"):
        next(mixed_batches(pixels, targets, 10, batch_size=3))
    with pytest.raises(OrxeError, match="10 images, but 4 targets"):
        next(mixed_batches(pixels, targets[:4], 10))
    with pytest.raises(OrxeError, match="timm:nonsense"):
        next(mixed_batches(pixels, targets, 10, auto_augment="nonsense"))
