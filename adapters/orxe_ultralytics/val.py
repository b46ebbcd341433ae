"""Ultralytics' val on a cascade."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import LOGGER

from orxe_plugins.cascade.routing import Route
from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.detection.rows import BoxRows
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.wording import plain
from orxe_ultralytics.cascade_model import CascadeModel, Routed, wanted
from orxe_ultralytics.data import read_rgb
from orxe_ultralytics.letterbox import Placement
from orxe_ultralytics.suppression import DetectSettings


class CascadeValidator(DetectionValidator):
    """Ultralytics' own metrics on a cascade's answers.

    The loader's batch is used for labels and plots only: each expert prepares every image again from the file.
    Afterwards, ``metrics.orxe_route`` says which expert answered each image.
    """

    def __call__(self, trainer: Any = None, model: Any = None, **kwargs: Any) -> Any:
        """Validate a cascade. There is no trainer, since a cascade is not trained."""
        if trainer is not None:
            raise OrxeError("a cascade is not trained: train its experts, then build the cascade of them")
        self.source_model = model if isinstance(model, CascadeModel) else None
        self.routes: list[Route] = []
        return super().__call__(None, model, **kwargs)

    def init_metrics(self, model: Any) -> None:
        """Keep the copy of the cascade that Ultralytics made, and give it the caller's settings."""
        super().init_metrics(model)
        self.cascade_model: CascadeModel = model.model
        if self.data["channels"] != 3:
            raise OrxeError(f"the data set has images of {self.data['channels']} channels: expected 3")
        self._compare_names()
        self.settings = DetectSettings(
            conf=self.args.conf,
            iou=self.args.iou,
            max_det=self.args.max_det,
            agnostic_nms=bool(self.args.agnostic_nms or self.args.single_cls),
            # Ultralytics' val compares boxes as the model gives them, before any clipping.
            clip=False,
        )
        self.cascade_model.ask(self.settings)
        if self.device.type != "cpu":
            self.cascade_model.warm_up()

    def _compare_names(self) -> None:
        """Ultralytics compares classes by number: say so where the same numbers have other names."""
        known, data = self.cascade_model.names, self.data["names"]
        other = [i for i in known if i in data and normalise_label(known[i]) != normalise_label(data[i])]
        if other:
            LOGGER.warning(
                f"{len(other)} of {len(known)} classes are called otherwise in the data, as class {other[0]}: "
                f"{known[other[0]]!r} of the cascade and {data[other[0]]!r} of the data. Ultralytics' val compares "
                "numbers, not names: give the cascade the data's names in their order (CascadeYOLO(..., classes=[...]))"
            )

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The loader's batch as Ultralytics prepares it; the cascade gets the original images."""
        self.batch = super().preprocess(batch)
        if self.source_model is not None:
            self.cascade_model.cascade.policy = self.source_model.cascade.policy
        self.cascade_model.expect([read_rgb(path) for path in batch["im_file"]])
        return self.batch

    def postprocess(self, preds: Routed) -> list[dict[str, Tensor]]:
        """The answers in pixels of the loader's images, where Ultralytics compares them with the labels."""
        self.routes.append(preds.route)
        kept = wanted(preds.found, self.settings)
        moved = torch.cat([self._placement(i).to_view(rows[:, :4]).float() for i, rows in enumerate(kept.split())])
        placed = BoxRows(torch.cat([moved, kept.rows[:, 4:]], dim=1), kept.image, kept.size)
        return [
            {"bboxes": rows[:, :4], "conf": rows[:, 4], "cls": rows[:, 5], "extra": rows.new_zeros((len(rows), 0))}
            for rows in placed.split(self.device)
        ]

    def _placement(self, i: int) -> Placement:
        (gain_y, gain_x), (left, top) = self.batch["ratio_pad"][i]
        return Placement((gain_x, gain_y), (left, top), tuple(self.batch["ori_shape"][i]))

    def finalize_metrics(self) -> None:
        """Ultralytics' figures, and which expert answered each image."""
        super().finalize_metrics()
        self.metrics.orxe_route = _joined(self.routes)

    def print_results(self) -> None:
        """Ultralytics' table, and a line about the cascade."""
        super().print_results()
        route = _joined(self.routes)
        shares = zip(self.cascade_model.cascade.members, route.exit_share().tolist(), strict=True)
        listed = ", ".join(f"{share:.1%} by {expert.name}" for expert, share in shares)
        LOGGER.info(f"Cascade: {plain(route.cost.mean().item())} GMACs per image (1 MAC = 2 FLOPs); answered {listed}")


def _joined(routes: list[Route]) -> Route:
    parts = [[getattr(route, name) for route in routes] for name in ("expert", "confidence", "cost", "ran")]
    expert, confidence, cost, ran = (torch.cat(part).cpu() for part in parts)
    return Route(expert, confidence, cost, ran)
