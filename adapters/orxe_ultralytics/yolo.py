"""YoloExpert: an Ultralytics detector as an expert."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import RTDETRDetectionModel

from orxe_plugins.cost.macs import count_macs
from orxe_plugins.data.batch import rows_by
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.rows import BoxRows
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Answers, FeatureLayer
from orxe_ultralytics.exported import ExportedModel
from orxe_ultralytics.letterbox import InSquare, Placement, letterbox, pixels, stretch, to_batch, to_originals
from orxe_ultralytics.suppression import DetectSettings, candidates, queries_to_boxes, suppress, usable


@dataclass(frozen=True, eq=False)
class _Raw:
    """What the model answers to some of a batch's images: those whose views have one shape."""

    index: list[int]
    prediction: Any


class YoloExpert(DetectorExpert):
    """An Ultralytics detector: original images in, boxes in their pixels out.

    Each image is prepared from the original at the expert's own ``imgsz``. The confidence always
    comes from the boxes under the expert's own settings, so that whether an image is passed on does
    not depend on the score or the overlap that a caller of ``predict`` asks for.

    Args:
        imgsz: length of an image's longer side in pixels, as the model sees it.
        settings: which boxes count.

    Attributes:
        asked: settings of the answers where a caller asks for other ones than the expert's own.
    """

    def __init__(
        self, name: str, module: nn.Module, *, names: Sequence[str], imgsz: int, settings: DetectSettings, **more: Any
    ) -> None:
        super().__init__(name, module, names=names, **more)
        self.imgsz = imgsz
        self.settings = settings
        self.asked: DetectSettings | None = None
        self.stride = largest_stride(module)
        self.feature_layer = last_backbone_layer(module)
        self.ask(None)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next((p.dtype for p in self.module.parameters()), torch.float32)

    @property
    def device(self) -> torch.device:
        if isinstance(self.module, ExportedModel):
            return self.module.get_buffer("where").device
        return super().device

    def example(self) -> Tensor:
        return torch.zeros((1, 3, self.imgsz, self.imgsz), device=self.device, dtype=self.dtype)

    def measure_cost(self, batch: Any = None) -> float:
        """GMACs for one square image of ``imgsz``; those of an exported model cannot be counted."""
        if self.cost is None and isinstance(self.module, ExportedModel):
            raise OrxeError(
                f"the cost of expert {self.name!r} is not known, and the operations of an exported model cannot be "
                "counted: give cost= in GMACs, such as those of the .pt file that it was exported from"
            )
        if self.cost is None:
            # A head keeps the anchors of its last image, and counting looks at shapes without values: count a copy.
            self.cost = count_macs(deepcopy(self.module), self.example()) / 1e9 + self.confidence.gmacs
        return self.cost

    def ask(self, settings: DetectSettings | None) -> None:
        """Answer by other settings from the next batch on; None goes back to the expert's own."""
        self.asked = settings
        wanted = settings or self.settings
        if getattr(self.module, "end2end", False) and hasattr(self.module, "set_head_attr"):
            # A head without NMS cuts its answer off by itself, before classes are chosen.
            limit = max(wanted.max_det, self.settings.max_det, 300)
            cast(Any, self.module).set_head_attr(max_det=limit, agnostic_nms=wanted.agnostic_nms)

    @torch.no_grad()
    def forward(self, batch: Sequence[Any], context: BatchContext | None = None) -> list[Detections]:
        """Detections of B original images."""
        context = BatchContext.of(batch) if context is None else context
        settings = self.asked or self.settings
        placements, raw = self._predict(batch, settings, settings.conf, context)
        return self._finish(raw, placements, settings)

    @torch.no_grad()
    def run(self, batch: Sequence[Any], context: BatchContext | None = None) -> Answers:
        """Detections as asked for, and the confidence of those under the expert's own settings."""
        context = BatchContext.of(batch) if context is None else context
        asked = self.asked or self.settings
        own = replace(self.settings, mode=asked.mode, rect=asked.rect, clip=asked.clip)
        if own != asked:
            # A box never suppresses a better one: those that the confidence ignores need not be found. Somewhat fewer
            # are left out, because half precision rounds the limit.
            own = replace(own, conf=max(own.conf, 0.99 * self.confidence.ignores_up_to))
        with self.tap_features(context):
            placements, raw = self._predict(batch, asked, min(asked.conf, own.conf), context)
            found = self._finish(raw, placements, asked)
            return self.answers(found, context, None if own == asked else self._finish(raw, placements, own))

    def prepare(self, batch: Sequence[Any]) -> list[tuple[np.ndarray, Placement]]:
        """The model's view of each original image, (h, w, 3) RGB, and where the image lies in it."""
        settings = self.asked or self.settings
        return [self._view(image, settings) for image in batch]

    def _view(self, image: Any, settings: DetectSettings) -> tuple[np.ndarray, Placement]:
        values = np.asarray(pixels(image))  # of a subclass, the plain array
        if isinstance(self.module, RTDETRDetectionModel):
            return stretch(values, self.imgsz)
        rect = settings.rect and not isinstance(image, InSquare)
        return letterbox(values, self.imgsz, settings.mode, rect, self.stride)

    def _predict(
        self, batch: Sequence[Any], settings: DetectSettings, least: float, context: BatchContext
    ) -> tuple[list[Placement], list[_Raw]]:
        """Run the model once for each shape of view; a square expert has one shape alone.

        What it answers is kept where it may hold a box that scores more than ``least``.
        """
        views, placements = zip(*(self._view(image, settings) for image in batch), strict=True) if batch else ((), ())
        end2end, raw = bool(getattr(self.module, "end2end", False)), []
        queries = isinstance(self.module, RTDETRDetectionModel)
        # Views of floats and of 8-bit values cannot be stacked either.
        for index in rows_by((*view.shape, view.dtype.itemsize) for view in views):
            context.next_call_on(self, index)
            images = to_batch([views[i] for i in index], self.device, self.dtype)  # (b, 3, h, w)
            # Nor does a head with queries need NMS.
            raw.append(_Raw(index, candidates(self.module(images), least, queries or end2end)))
        return list(placements), raw

    def _finish(self, raw: list[_Raw], placements: Sequence[Placement], settings: DetectSettings) -> list[Detections]:
        parts: dict[int, Tensor] = {}
        for group in raw:
            parts.update(zip(group.index, self._boxes(group, settings), strict=True))
        found = usable(BoxRows.of_parts([parts[i] for i in range(len(parts))]))
        return to_originals(found, placements, settings.clip).detections(self.names)

    def _boxes(self, group: _Raw, settings: DetectSettings) -> list[Tensor]:
        if isinstance(self.module, RTDETRDetectionModel):
            return queries_to_boxes(group.prediction, settings, self.imgsz, len(self.names))
        return suppress(group.prediction, settings, bool(getattr(self.module, "end2end", False)))


def largest_stride(module: nn.Module) -> int:
    """What both sides of a model's input must be multiples of, in pixels."""
    return max(int(torch.as_tensor(getattr(module, "stride", 32)).max()), 32)


def last_backbone_layer(module: nn.Module) -> FeatureLayer | None:
    """Where a model's deepest features are, (B, F, h / 32, w / 32); None for an exported model."""
    backbone = getattr(module, "yaml", {}).get("backbone")
    return FeatureLayer(f"model.{len(backbone) - 1}", "output") if backbone else None
