"""CascadeCost: what a cascade cost, reported with mmdet's own metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric

from orxe_plugins.errors import OrxeError


@METRICS.register_module()
class CascadeCost(BaseMetric):
    """Mean cost per image, and the share of the images that each expert answered.

    Use it together with CocoMetric: ``test_evaluator = [dict(type="CocoMetric", ...), dict(type="CascadeCost")]``.
    The cost is in the experts' unit: GMACs, unless their specs say otherwise.
    """

    default_prefix = "cascade"

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Note which expert answered each sample of a batch, and at what cost."""
        for sample in data_samples:
            if "orxe_expert_index" not in sample:
                raise OrxeError(
                    "CascadeCost reads what a CascadeDetector notes on its answers, but the model is another one: use "
                    "a CascadeDetector, or remove CascadeCost from test_evaluator"
                )
            if "flip" in sample and "orxe_views" not in sample:
                raise OrxeError(
                    "CascadeCost would count one view of several: with test-time augmentation, name "
                    "tta_model=dict(type='CascadeTTAModel', tta_cfg=...), which adds up their cost"
                )
            self.results.append((sample["orxe_expert_index"], sample["orxe_expert"], sample["orxe_cost"]))

    def compute_metrics(self, results: list[tuple[int, str, float]]) -> dict[str, float]:
        """``cost`` and one ``share of NAME`` for each expert that answered an image."""
        names = {index: name for index, name, _ in results}
        answered = np.array([index for index, _, _ in results])
        metrics = {"cost": float(np.mean([cost for _, _, cost in results]))}
        for index in sorted(names):
            metrics[f"share of {names[index]}"] = float((answered == index).mean())
        return metrics
