"""The torch module that Ultralytics sees: a cascade of detectors under the attributes that it asks of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from ultralytics.nn.tasks import BaseModel
from ultralytics.utils import LOGGER

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.routing import Route
from orxe_plugins.cascade.stream_answer import StreamAnswer
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.rows import BoxRows
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.util.wording import plain
from orxe_ultralytics.suppression import DetectSettings
from orxe_ultralytics.yolo import YoloExpert


@dataclass(frozen=True, eq=False)
class Routed:
    """What a cascade answers to B original images.

    Attributes:
        found: their boxes, best first, all in the cascade's label space.
        route: which expert answered each image, and at what cost.
        names: the label names.
    """

    found: BoxRows
    route: Route
    names: tuple[str, ...]

    @property
    def detections(self) -> list[Detections]:
        """One for each image, best box first."""
        return self.found.detections(self.names)


class CascadeModel(nn.Module):
    """A cascade of detectors where Ultralytics expects one of its own models.

    It must not have an attribute ``model``: Ultralytics would look for its own layers there.

    Args:
        cascade: the detectors; they answer in one label space, as every cascade's experts do.

    Raises:
        OrxeError: an expert is no detector.
    """

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.cascade = cascade
        first = cascade.members[0]
        if not isinstance(first, DetectorExpert):
            raise OrxeError(
                f"expert {first.name!r} is a {type(first).__name__}: Ultralytics' cascades are made of object detectors"
            )
        # Copies are made for every run: a cost that is counted in one of them would be lost with it.
        for expert in cascade.members:
            expert.measure_cost()
        sizes = [expert.imgsz for expert in cascade.members if isinstance(expert, YoloExpert)]
        strides = [expert.stride for expert in cascade.members if isinstance(expert, YoloExpert)]
        self.names = dict(enumerate(cascade.answer_names))
        self.stride = torch.tensor([float(max(strides, default=32))])
        self.task = "detect"
        self.yaml = {"nc": len(self.names), "channels": 3}
        self.args: dict[str, Any] = {"imgsz": max(sizes, default=640), "task": "detect"}
        self.pt_path: str | None = None
        self._images: Sequence[Any] | None = None
        self.eval()

    # --- running --------------------------------------------------------------------------------

    def answer(self, images: Sequence[Any]) -> Routed:
        """Detections of B original images, and which expert gave each of them."""
        outputs, route = self.cascade.route(images)
        return Routed(BoxRows.of(outputs).best_first(), route, self.cascade.answer_names)

    def joined(self, answers: Sequence[StreamAnswer]) -> Routed:
        """The answers of a stream to B images, as :meth:`answer` gives them."""
        outputs, n = [answer.output for answer in answers], len(self.cascade.members)
        route = Route(
            torch.tensor([answer.expert for answer in answers]),
            torch.tensor([answer.confidence for answer in answers], dtype=torch.float32),
            torch.tensor([answer.cost for answer in answers], dtype=torch.float64),
            torch.tensor([[i in answer.ran for i in range(n)] for answer in answers]),
        )
        return Routed(BoxRows.of(outputs).best_first(), route, self.cascade.answer_names)

    def expect(self, images: Sequence[Any]) -> None:
        """Give the original images of the batch that Ultralytics will call :meth:`forward` with next."""
        self._images = images

    def forward(self, batch: Tensor, *args: Any, **kwargs: Any) -> Any:
        """What Ultralytics calls.

        Args:
            batch: (B, 3, h, w) RGB in [0, 1]. If originals were given by :meth:`expect`, they are
                taken instead; otherwise the tensor's images are the originals.

        Returns:
            :class:`Routed` for originals given by :meth:`expect`; else float32 (B, K, 6): x1, y1, x2, y2 in pixels of
            the tensor, score and label, best first, zeros where an image has fewer boxes. Ultralytics
            knows by the last dimension that this needs no NMS.
        """
        if self._images is not None:
            images, self._images = self._images, None
            return self.answer(images)
        # Ultralytics warms models up on uninitialised memory, which may hold NaN.
        images = list(torch.nan_to_num(batch.float(), nan=0.0).clamp(0, 1))
        if not images:
            return torch.zeros((0, 0, 6), device=batch.device)
        return pad_sequence(self.answer(images).found.split(batch.device), batch_first=True)

    def ask(self, settings: DetectSettings | None) -> None:
        """Make the Ultralytics experts answer by a caller's settings; None: by their own.

        Experts of other frameworks keep their own thresholds; :func:`wanted` leaves out those of their boxes that
        the caller did not ask for.
        """
        for expert in self.cascade.members:
            if isinstance(expert, YoloExpert):
                # Classes are asked for in the cascade's numbering, which may not be the expert's.
                same = expert.names == self.cascade.answer_names
                expert.ask(settings if settings is None or same else replace(settings, classes=None))

    def warm_up(self) -> None:
        """Run every expert once on a grey image, so that lazy initialisation does not slow down the first batch."""
        for expert in self.cascade.members:
            expert.run([torch.full((3, 64, 64), 0.5, device=expert.device)])

    # --- what Ultralytics asks of a model ---------------------------------------------------------

    def fuse(self, verbose: bool = True, imgsz: int | list[int] = 640) -> CascadeModel:
        """Fold batch norm into the convolutions of every Ultralytics expert."""
        for expert in self.cascade.members:
            if isinstance(expert.module, BaseModel):
                expert.module.fuse(verbose=False)
        return self

    def is_fused(self) -> bool:
        """Whether there is nothing left to fuse."""
        modules = [expert.module for expert in self.cascade.members]
        return all(module.is_fused() for module in modules if isinstance(module, BaseModel))

    def info(
        self, detailed: bool = False, verbose: bool = True, imgsz: int | list[int] = 640
    ) -> tuple[int, int, int, float] | None:
        """Log one line for each expert.

        Returns:
            Layers, parameters, gradients and GFLOPs (2 x MACs) of all experts together: the cost of an image that
            goes through all of them. None unless ``verbose``.
        """
        if not verbose:
            return None
        for line in describe(self.cascade):
            LOGGER.info(line)
        layers = sum(1 for module in self.modules() if not list(module.children()))
        parameters = sum(p.numel() for p in self.parameters())
        gradients = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return layers, parameters, gradients, 2 * sum(expert.measure_cost() for expert in self.cascade.members)

    def load(self, weights: Any, verbose: bool = True) -> None:
        """A cascade has no weights of its own to load into."""
        raise OrxeError("weights cannot be loaded into a cascade: build it out of experts that have them")


def wanted(found: BoxRows, settings: DetectSettings) -> BoxRows:
    """Those of an answer's boxes that the caller of Ultralytics asked for; best first already."""
    kept = found.rows[:, 4] > settings.conf
    if settings.classes is not None:
        kept &= torch.isin(found.rows[:, 5].long(), torch.tensor(settings.classes, dtype=torch.int64))
    return found.take(kept).at_most(settings.max_det)


def describe(cascade: Cascade) -> Iterable[str]:
    """What a cascade is made of, a line for each expert."""
    policy = cascade.policy
    exits = ["answers all other images"] * len(cascade.members)
    for i, threshold in enumerate(policy.exit_thresholds):
        exits[i] = "never runs" if threshold is None else f"answers from confidence {plain(threshold)} on"
    yield f"Cascade of {len(cascade.members)} experts (1 MAC = 2 FLOPs):"
    for expert, what in zip(cascade.members, exits, strict=True):
        yield (
            f"  {expert.name}: {expert.params:,} parameters, {plain(expert.measure_cost())} GMACs{_size(expert)}, "
            f"{what}"
        )


def _size(expert: Expert) -> str:
    return f" at imgsz {expert.imgsz}" if isinstance(expert, YoloExpert) else ""
