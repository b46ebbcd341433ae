"""Training batches as TinySaver's Table 7 makes them: AutoAugment, mixup and cutmix, by timm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from timm.data import Mixup
from torch import Tensor

from orxe_plugins.data.images import to_array, to_pil
from orxe_plugins.errors import OrxeError, check_known
from orxe_plugins.records.augment import seeded
from orxe_timm.augment import augment


@dataclass(frozen=True)
class Mixing:
    """How images of a batch are changed, by default with the values of TinySaver's Table 7.

    Attributes:
        auto_augment: timm's name of an augmentation; None augments nothing.
        mixup, cutmix: alpha of either; one of the two is drawn for every image. Both 0 mix nothing.
        before: changes a batch of uint8 images (B, 3, H, W) first, as by shifts and crops, which AutoAugment lacks.
    """

    auto_augment: str | None = "original"
    mixup: float = 0.8
    cutmix: float = 1.0
    before: Callable[[Tensor], Tensor] | None = None


def mixed_batches(
    images: Sequence[Any],
    targets: Tensor,
    num_classes: int,
    *,
    copies: int = 1,
    batch_size: int = 128,
    seed: int = 0,
    **mixing: Any,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches to train exits on (``orxe_plugins.esn.train_exits``), augmented with Table 7's values by default.

    Every image comes in ``copies`` batches, each time augmented anew and mixed with another image. The same seed gives
    the same batches.

    Args:
        images: M original images of one size (see ``orxe_plugins.data.images``).
        targets: their classes, int64 (M,).
        num_classes: number of classes C.
        copies: how often each image comes.
        batch_size: images in a batch, an even number, because they are mixed with each other; a last odd one is left
            out.
        seed: of everything random.
        **mixing: any of
            ``auto_augment``: timm's name of an augmentation, "original" by default; None augments nothing;
            ``mixup``, ``cutmix``: alpha of either, 0.8 and 1.0 by default; both 0 mix nothing;
            ``before``: changes a batch of uint8 images (B, 3, H, W) first.

    Yields:
        uint8 images (B, 3, H, W) and class probabilities (B, C).

    Raises:
        OrxeError: images and targets differ in number, a batch would be odd, or an argument is unknown.
    """
    if len(images) != len(targets):
        raise OrxeError(f"{len(images)} images, but {len(targets)} targets")
    if batch_size < 2 or batch_size % 2:
        raise OrxeError(f"batch_size is {batch_size!r}: expected an even number, so that images can be mixed")
    check_known("argument of mixed_batches", mixing, [field.name for field in fields(Mixing)])
    how = Mixing(**mixing)
    change = augment(how.auto_augment) if how.auto_augment is not None else None
    mix = None
    if how.mixup or how.cutmix:
        mix = Mixup(how.mixup, how.cutmix, mode="elem", label_smoothing=0.0, num_classes=num_classes)
    order = np.concatenate([np.random.default_rng([seed, copy]).permutation(len(images)) for copy in range(copies)])
    for number, start in enumerate(range(0, len(order) - 1, batch_size)):
        rows = order[start : start + batch_size]
        rows = rows[: len(rows) // 2 * 2]
        with seeded(int(np.random.default_rng([seed, copies, number]).integers(2**32))):
            pixels = torch.stack([torch.from_numpy(to_array(images[i])).permute(2, 0, 1) for i in rows])  # (B, 3, H, W)
            if how.before is not None:
                pixels = how.before(pixels)
            if change is not None:
                changed = [torch.from_numpy(to_array(change(to_pil(row)))) for row in pixels]
                pixels = torch.stack(changed).permute(0, 3, 1, 2)
            values, wanted = pixels.float(), targets[rows]
            if mix is None:
                soft = torch.nn.functional.one_hot(wanted, num_classes).float()
            else:
                values, soft = mix(values, wanted)
        yield values.round().clamp(0, 255).to(torch.uint8), soft
