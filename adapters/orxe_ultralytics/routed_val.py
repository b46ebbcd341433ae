"""RoutedVal: Ultralytics' ``val`` figures of any routing, from recorded boxes; no model runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils.metrics import DetMetrics, box_iou

from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.errors import OrxeError

_Stats = dict[str, np.ndarray]


class RoutedVal:
    """Ultralytics' own figures for any routing of M recorded images through N experts.

    Ultralytics matches boxes with objects image by image, so that each expert's matches are made once,
    here, by Ultralytics' own code; a routing then merges them. The records are those of experts with
    ``clip=false``, because ``val`` compares boxes before it cuts them at the image's border.

    Args:
        predictions: ``Records.predictions`` of N experts on M images, in the targets' labels.
        targets: the ground truth of the same images, such as ``YoloDataset.targets``.

    Raises:
        OrxeError: the records hold no boxes, or have another number of images.
    """

    def __init__(self, predictions: Mapping[str, Any], targets: Sequence[GroundTruth]) -> None:
        missing = [name for name in ("boxes", "scores", "labels") if name not in predictions]
        if missing:
            raise OrxeError(f"the records hold no {', '.join(missing)}: record detections with keep set to 'all'")
        self.n_experts, self.n_images = np.shape(predictions["scores"])[:2]
        if len(targets) != self.n_images:
            raise OrxeError(f"records of {self.n_images} images, but ground truth of {len(targets)}")
        self._names = dict(enumerate(targets[0].names))
        matcher = DetectionValidator(args={"mode": "val", "verbose": False})
        boxes, scores, labels = predictions["boxes"], predictions["scores"], predictions["labels"]
        self._stats = [
            [_match(matcher, boxes[e][i], scores[e][i], labels[e][i], target) for i, target in enumerate(targets)]
            for e in range(self.n_experts)
        ]

    def __call__(self, expert_of_image: Any) -> DetMetrics:
        """The figures of a routing; ``.box.map`` is mAP50-95.

        Args:
            expert_of_image: which expert answers each image, integers of shape (M,).
        """
        routing = np.asarray(expert_of_image)
        if routing.shape != (self.n_images,) or not np.isin(routing, range(self.n_experts)).all():
            raise OrxeError(
                f"a routing has shape {routing.shape}: expected which of {self.n_experts} experts answers each of "
                f"{self.n_images} images"
            )
        metrics = DetMetrics(self._names)
        for i, expert in enumerate(routing):
            metrics.update_stats({**self._stats[expert][i], "im_name": str(i)})
        metrics.process()
        return metrics


def _match(
    matcher: DetectionValidator, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, target: GroundTruth
) -> _Stats:
    """What ``DetectionValidator.update_metrics`` keeps of one image."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    found = torch.from_numpy(np.asarray(boxes, dtype=np.float32).reshape(-1, 4)[order])  # (K, 4)
    predicted = torch.from_numpy(np.asarray(labels, dtype=np.float32)[order])  # (K,)
    truth = torch.from_numpy(target.labels.astype(np.float32))  # (G,)
    correct = np.zeros((len(found), matcher.niou), dtype=bool)
    if len(found) and len(truth):
        ious = box_iou(torch.from_numpy(target.boxes.astype(np.float32)), found)  # (G, K)
        correct = matcher.match_predictions(predicted, truth, ious).numpy()
    return {
        "tp": correct,
        "conf": np.asarray(scores)[order],
        "pred_cls": predicted.numpy(),
        "target_cls": truth.numpy(),
        "target_img": np.unique(truth.numpy()),
    }
