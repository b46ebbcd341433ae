"""Semantic segmentation: the score of an image is its own mIoU, the metric that of the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from orxe_plugins.confidence.pixels import MeanPixelConfidence
from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.data.masks import IGNORE, Mask, MaskedImages, images_with_masks
from orxe_plugins.errors import OrxeError
from orxe_plugins.tasks.task import Scored, Task, register_task


@register_task("segmentation")
class Segmentation(Task):
    """One class per pixel; outputs are logits (B, C, h, w), a target is a mask of the image's size.

    Logits are resized to the mask, bilinearly, before the classes are compared; the experts of one
    cascade must give logits of one size. mIoU belongs to a data set: the confusion matrices of all
    images are merged first, whichever expert answered.
    """

    metric_name = "mIoU"
    score_name = "image mIoU"
    gate_summary = "pixels"
    default_keep = "all"

    def dataset(self, root: Path, class_map: str | None = None) -> MaskedImages:
        return images_with_masks(root)

    def default_confidence(self) -> ConfidenceProvider:
        return MeanPixelConfidence()

    def assess(self, outputs: Tensor, targets: Sequence[Mask], keep: str) -> Scored:
        """mIoU of each image over the classes that are in its mask or in its answer, and what it is made of.

        The column ``confusion``, int32 (B, C, C), is how many pixels of each true class (rows) were given each class.
        """
        matrices = [_confusion(logits, mask) for logits, mask in zip(outputs, targets, strict=True)]
        score = np.array([mean_iou(matrix) for matrix in matrices])
        return Scored(score, {} if keep == "none" else {"confusion": np.stack(matrices).astype(np.int32)})

    def valid(self, outputs: Tensor) -> np.ndarray:
        return torch.isfinite(outputs).flatten(1).all(dim=1).cpu().numpy()

    def describe(self, outputs: Tensor) -> list[str]:
        """The classes of an image with their share of its pixels."""
        texts = []
        for classes in outputs.argmax(dim=1):
            count = torch.bincount(classes.flatten())
            texts.append(
                " ".join(f"{i}: {100 * int(count[i]) / int(count.sum()):.1f} %" for i in count.nonzero()[:, 0].tolist())
            )
        return texts

    def metric(self, score: np.ndarray, predictions: Mapping[str, Any], targets: Sequence[Any]) -> float:
        """mIoU of the merged confusion matrices."""
        if "confusion" not in predictions:
            raise OrxeError("the records hold no confusion matrices: record segmentation with keep 'all'")
        return mean_iou(np.asarray(predictions["confusion"], dtype=np.int64).sum(axis=0))


def _confusion(logits: Tensor, mask: Mask) -> np.ndarray:
    try:
        return confusion(logits, mask.pixels())
    except OrxeError as error:
        raise OrxeError(f"{mask.path}: {error}") from error


def confusion(logits: Tensor, mask: np.ndarray) -> np.ndarray:
    """How many pixels of each true class (rows) were given each class (columns), int64 (C, C).

    Args:
        logits: (C, h, w).
        mask: (H, W), class indices; 255 is ignored.
    """
    count = logits.shape[0]
    answer = interpolate(logits[None].float(), mask.shape, mode="bilinear", align_corners=False)[0].argmax(0)
    counted = mask != IGNORE
    truth = mask[counted]
    if len(truth) and truth.max() >= count:
        raise OrxeError(f"a mask has the class {truth.max()}, but the expert answers with {count} classes")
    return np.bincount(truth * count + answer.cpu().numpy()[counted], minlength=count**2).reshape(count, count)


def mean_iou(matrix: np.ndarray) -> float:
    """Mean intersection over union of the classes that occur, of a confusion matrix (C, C); 0 if none does."""
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    occurs = union > 0
    return float((np.diag(matrix)[occurs] / union[occurs]).mean()) if occurs.any() else 0.0
