"""CascadeTTAModel: test-time augmentation of a cascade, at the cost of all views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.models.test_time_augs import DetTTAModel
from mmdet.registry import MODELS


@MODELS.register_module()
class CascadeTTAModel(DetTTAModel):
    """mmdet's ``DetTTAModel`` for a cascade: the cost of an answer is that of all its views.

    A config names it where ``tools/test.py --tta`` looks for it:
    ``tta_model = dict(type="CascadeTTAModel", tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=9))``.
    ``orxe_expert`` and ``orxe_confidence`` of an answer are those of its first view.
    """

    def merge_preds(self, data_samples_list: Sequence[Sequence[Any]]) -> list[Any]:
        """One answer for each image, out of its views."""
        costs = [sum(sample.orxe_cost for sample in views) for views in data_samples_list]
        merged = super().merge_preds(data_samples_list)
        for sample, cost in zip(merged, costs, strict=True):
            sample.set_metainfo({"orxe_cost": cost, "orxe_views": len(data_samples_list[0])})
        return merged
