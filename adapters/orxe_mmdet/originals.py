"""Original images on their way from mmdet's pipelines to the experts."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.utils.misc import samplelist_boxtype2tensor
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from orxe_plugins.errors import OrxeError


class OriginalImages(BaseDataPreprocessor):
    """Hands the images on as they were packed: each expert prepares its own view of them."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Images stay where they are, uint8 and of different sizes; data samples move to the device.

        As from mmdet's own preprocessor, boxes of the annotations are tensors, and ``pad_shape`` and
        ``batch_input_shape`` say what reaches the model: the image itself, since nothing is padded.
        """
        images = list(data["inputs"])
        samples = self.cast_data(data.get("data_samples"))
        if samples is not None:
            for pixels, sample in zip(images, samples, strict=True):
                size = tuple(pixels.shape[-2:])
                sample.set_metainfo({"pad_shape": size, "batch_input_shape": size})
            samplelist_boxtype2tensor(samples)
        return {"inputs": images, "data_samples": samples}


def original_image(pixels: Tensor, sample: Any) -> Tensor:
    """The original image that a pipeline packed, as experts of every framework take it.

    Args:
        pixels: (C, H, W) with C = 1, 3 (BGR) or 4 (BGR and alpha), from 0 to 255, uint8 or float.
        sample: its data sample, whose ``ori_shape`` says how large the original was.

    Returns:
        uint8 tensor (C, H, W) with C = 1 or 3 (RGB).

    Raises:
        OrxeError: the image was resized, padded or normalised on the way.
    """
    size = tuple(pixels.shape[-2:])
    original = tuple(sample.metainfo.get("ori_shape", size)[:2])
    if size != original:
        raise OrxeError(
            f"an image of {original[1]} x {original[0]} pixels reaches the cascade as {size[1]} x {size[0]}: each "
            "expert prepares the original itself, so that the cascade's test pipeline must only load and pack, "
            "as orxe_mmdet.TEST_PIPELINE does"
        )
    if pixels.is_floating_point():
        if not bool(((pixels >= 0) & (pixels <= 255)).all()):
            raise OrxeError("an image reaches the cascade with values outside of [0, 255]: leave it as it was loaded")
        pixels = pixels.round().to(torch.uint8)
    return pixels if pixels.shape[0] == 1 else pixels[:3].flip(0)  # BGR -> RGB
