"""Regression: the score of a sample is its negative absolute error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.confidence.constant import Constant
from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.data.image_lists import ImageList, table_of_images
from orxe_plugins.errors import OrxeError
from orxe_plugins.tasks.task import Task, register_task


@register_task("regression")
class Regression(Task):
    """D numbers per image; outputs are of shape (B, D), a target is a float or D of them.

    A regressor has no confidence of its own (ORXE supplement, section F): without ranking gates, a
    cascade can only choose one expert for all.
    """

    metric_name = "negative MAE"
    score_name = "negative error"
    percent = False

    def dataset(self, root: Path, class_map: str | None = None) -> ImageList:
        if class_map is not None:
            raise OrxeError(f"class_map is {class_map!r}: regression has no classes")
        return table_of_images(root)

    def default_confidence(self) -> ConfidenceProvider:
        return Constant()

    def score(self, outputs: Tensor, targets: Sequence[float]) -> np.ndarray:
        """Negative absolute error, mean over the D outputs."""
        truth = torch.as_tensor(np.asarray(targets, dtype=np.float32)).reshape(len(targets), -1)  # (B, D)
        if truth.shape != outputs.shape:
            raise OrxeError(f"an expert gives {outputs.shape[1]} numbers per image, but a target has {truth.shape[1]}")
        return -(outputs.float().cpu() - truth).abs().mean(dim=1).numpy().astype(np.float64)

    def valid(self, outputs: Tensor) -> np.ndarray:
        return torch.isfinite(outputs).all(dim=1).cpu().numpy()

    def predictions(self, outputs: Tensor, keep: str) -> dict[str, np.ndarray]:
        """``values`` float32 (B, D)."""
        return {} if keep == "none" else {"values": outputs.float().cpu().numpy()}

    def describe(self, outputs: Tensor) -> list[str]:
        """The numbers."""
        return [" ".join(f"{value:.6g}" for value in row) for row in outputs.tolist()]
