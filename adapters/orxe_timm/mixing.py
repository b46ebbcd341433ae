"""Training batches as TinySaver's Table 7 makes them: AutoAugment, mixup and cutmix, by timm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from timm.data import Mixup
from torch import Tensor

from orxe_plugins.data.images import to_array, to_pil
from orxe_plugins.errors import OrxeError
from orxe_plugins.records.augment import seeded
from orxe_timm.augment import augment


def mixed_batches(
    images: Sequence[Any],
    targets: Tensor,
    num_classes: int,
    *,
    copies: int = 1,
    batch_size: int = 128,
    auto_augment: str | None = "original",
    mixup: float = 0.8,
    cutmix: float = 1.0,
    before: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches to train exits on (``orxe_plugins.esn.train_exits``), augmented with Table 7's values by default.

    Every image comes in ``copies`` batches, each time augmented anew and mixed with another image. The same seed gives
    the same batches.

    Args:
        images: M original images of one size (see ``orxe_plugins.data.images``).
        targets: their classes, int64 (M,).
        num_classes: number of classes C.
        copies: how often each image comes.
        batch_size: images in a batch, an even number, for they are mixed with each other; a last odd one is left out.
        auto_augment: timm's name of an augmentation; None augments nothing.
        mixup, cutmix: alpha of either; one of the two is drawn for every image. Both 0 mix nothing.
        before: changes a batch of uint8 images (B, 3, H, W) first: shifts and crops, for which AutoAugment has no eye.
        seed: of everything random.

    Yields:
        uint8 images (B, 3, H, W) and class probabilities (B, C).

    Raises:
        OrxeError: images and targets differ in number, or a batch would be odd.
    """
    if len(images) != len(targets):
        raise OrxeError(f"{len(images)} images, but {len(targets)} targets")
    if batch_size < 2 or batch_size % 2:
        raise OrxeError(f"batch_size is {batch_size!r}: expected an even number, for images are mixed with each other")
    change = augment(auto_augment) if auto_augment is not None else None
    mix = Mixup(mixup, cutmix, mode="elem", label_smoothing=0.0, num_classes=num_classes) if mixup or cutmix else None
    order = np.concatenate([np.random.default_rng([seed, copy]).permutation(len(images)) for copy in range(copies)])
    for number, start in enumerate(range(0, len(order) - 1, batch_size)):
        rows = order[start : start + batch_size]
        rows = rows[: len(rows) // 2 * 2]
        with seeded(int(np.random.default_rng([seed, copies, number]).integers(2**32))):
            pixels = torch.stack([torch.from_numpy(to_array(images[i])).permute(2, 0, 1) for i in rows])  # (B, 3, H, W)
            if before is not None:
                pixels = before(pixels)
            if change is not None:
                changed = [torch.from_numpy(to_array(change(to_pil(row)))) for row in pixels]
                pixels = torch.stack(changed).permute(0, 3, 1, 2)
            values, wanted = pixels.float(), targets[rows]
            if mix is None:
                soft = torch.nn.functional.one_hot(wanted, num_classes).float()
            else:
                values, soft = mix(values, wanted)
        yield values.round().clamp(0, 255).to(torch.uint8), soft
