"""Ultralytics' predict and track on a cascade."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from ultralytics.engine.predictor import BasePredictor
from ultralytics.engine.results import Results
from ultralytics.utils import ops

from orxe_plugins.cascade.routing import Route
from orxe_ultralytics.ahead import ReadAhead
from orxe_ultralytics.cascade_model import CascadeModel, Routed, wanted
from orxe_ultralytics.letterbox import InSquare
from orxe_ultralytics.suppression import DetectSettings


@dataclass(frozen=True)
class ImageRoute:
    """Which expert answered one image, and at what cost.

    Attributes:
        expert: index of the expert that answered.
        name: its name.
        confidence: its confidence, in [0, 1].
        cost: of all experts that ran on the image together, in GMACs.
        ran: indices of the experts that ran.
    """

    expert: int
    name: str
    confidence: float
    cost: float
    ran: tuple[int, ...]


class CascadeResults(Results):
    """Ultralytics' results of one image, and which expert they come from.

    Attributes:
        orxe_route: which expert answered, and at what cost.
    """

    orxe_route: ImageRoute

    @property
    def orxe_expert(self) -> int:
        """Index of the expert that answered."""
        return self.orxe_route.expert

    def new(self) -> CascadeResults:
        """The same image without boxes; Ultralytics asks for it when results are sliced or moved to another device."""
        fresh = CascadeResults(self.orig_img, self.path, self.names, speed=self.speed)
        fresh.orxe_route = self.orxe_route
        return fresh

    def verbose(self) -> str:
        """The line that Ultralytics logs, with the expert's name."""
        return f"{super().verbose()}by {self.orxe_route.name}, "


class CascadePredictor(BasePredictor):
    """Sends originals through a cascade; sources, saving, streams and trackers are Ultralytics' own."""

    dataset: Any

    def setup_model(self, model: Any, verbose: bool = True) -> None:
        """Wrap a copy of the cascade; its thresholds follow those of the original, also while it runs."""
        self.source_model = model if isinstance(model, CascadeModel) else None
        super().setup_model(model, verbose)
        if self.device.type != "cpu":
            self.cascade_model.warm_up()
        # Ultralytics' own warm-up would go along one path of the cascade only.
        self.done_warmup = True

    @property
    def cascade_model(self) -> CascadeModel:
        """The copy that runs."""
        return self.model.model

    def setup_source(self, source: Any, stride: int | None = None) -> None:
        """As in Ultralytics. A stream of batches is read ahead, so that experts get full batches; see ``inference``."""
        super().setup_source(source, stride)
        live = self.source_type.stream or self.source_type.screenshot or self.source_type.tensor
        self._ahead: ReadAhead | None = None
        if getattr(self, "stream", False) and self.args.batch > 1 and not live:
            self.cascade_model.ask(self._settings())
            self._ahead = self.dataset = ReadAhead(self.dataset, _originals)
            self._answers = self.cascade_model.cascade.stream(self._pulled(self._ahead), batch_size=self.args.batch)

    def _pulled(self, ahead: ReadAhead) -> Iterator[Any]:
        """Images for the stream; each is answered by the thresholds that are in force when it comes."""
        for image in ahead.images():
            self._follow()
            yield image

    def preprocess(self, im: Tensor | list[np.ndarray]) -> Tensor:
        """Keep the originals: each expert prepares its own view of them.

        Returns:
            A tensor of the batch's shape; for images it holds no values.
        """
        if isinstance(im, Tensor):
            batch = super().preprocess(im)
            self.originals: list[Any] = list(batch)
            return batch
        if self._ahead is None:
            self.originals = _originals(im)
        return torch.empty((len(im), 3, *self.imgsz), device="meta")

    def inference(self, im: Tensor, *args: Any, **kwargs: Any) -> Routed:
        """Route the originals by the current thresholds; or take what the stream answers to them."""
        if self._ahead is not None:
            return self.cascade_model.joined([next(self._answers) for _ in range(len(im))])
        self._follow()
        self.cascade_model.ask(self._settings())
        return self.cascade_model.answer(self.originals)

    def _follow(self) -> None:
        if self.source_model is not None:
            self.cascade_model.cascade.policy = self.source_model.cascade.policy

    def postprocess(self, preds: Routed, img: Tensor, orig_imgs: Any, **kwargs: Any) -> list[CascadeResults]:
        """One result for each image."""
        if not isinstance(orig_imgs, list):
            orig_imgs = ops.convert_torch2numpy_batch(orig_imgs)[..., ::-1]
        rows = wanted(preds.found, self._settings()).split(self.device)
        routes = self._routes(preds.route)
        results = []
        for boxes, route, image, path in zip(rows, routes, orig_imgs, self.batch[0], strict=True):
            result = CascadeResults(image, path, self.model.names, boxes=boxes)
            result.orxe_route = route
            results.append(result)
        return results

    def _routes(self, route: Route) -> list[ImageRoute]:
        """What is said of each image, as plain values that were fetched together."""
        names = [expert.name for expert in self.cascade_model.cascade.members]
        here = route.to_host()
        columns = zip(*(part.tolist() for part in (here.expert, here.confidence, here.cost, here.ran)), strict=True)
        return [
            ImageRoute(expert, names[expert], confidence, cost, tuple(i for i, ran in enumerate(row) if ran))
            for expert, confidence, cost, row in columns
        ]

    def _settings(self) -> DetectSettings:
        classes = self.args.classes
        return DetectSettings(
            conf=self.args.conf,
            iou=self.args.iou,
            max_det=self.args.max_det,
            rect=bool(self.args.rect),
            agnostic_nms=bool(self.args.agnostic_nms),
            multi_label=False,
            classes=None if classes is None else tuple([classes] if isinstance(classes, int) else classes),
            mode="predict",
        )


def _originals(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images in BGR order as originals, without moving a pixel.

    As in Ultralytics, images of a batch in which shapes differ are padded to squares.
    """
    reversed_ = [image[..., ::-1] for image in images]
    if len({image.shape for image in images}) == 1:
        return reversed_
    return [image.view(InSquare) for image in reversed_]
