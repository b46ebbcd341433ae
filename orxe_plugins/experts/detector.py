"""DetectorExpert: original images in, detections out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.confidence import MeanBoxScore
from orxe_plugins.detection.calibration import Calibration
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.labels import match_labels
from orxe_plugins.experts.expert import Answers, Expert


class DetectorExpert(Expert):
    """An object detector: a list of original images in, one :class:`Detections` for each out.

    Adapters subclass it and implement :meth:`forward`: the batch is a list of B original images
    (see ``orxe_plugins.data.images``) of any sizes, the answer a list of B detections with boxes in the
    pixels of those images and the labels of ``names``. The module underneath is what operations are
    counted on. A subclass with a :meth:`run` of its own ends it with :meth:`answers`.

    Args:
        names: label names of the model; label k of :meth:`forward` is ``names[k]``.

    Attributes:
        remap: what a label of the model is called in the label space that :meth:`remap_to` asks
            for; None drops the label. Labels that are not in it are matched by name.
        allow_missing: the label space may have labels that the model does not know.
        calibration: applied to the scores of what :meth:`run` answers, after the confidence was
            taken of the raw ones: it changes how boxes of several experts rank, not who answers.
    """

    def __init__(self, name: str, module: nn.Module, *, names: Sequence[str], **options: Any) -> None:
        options.setdefault("confidence", MeanBoxScore())
        super().__init__(name, module, **options)
        self.names = tuple(names)
        self.remap: dict[str, str | None] = {}
        self.allow_missing = False
        self.calibration: Calibration | None = None
        self._answer_names = self.names
        self._label_index: Tensor | None = None

    @property
    def answer_names(self) -> tuple[str, ...]:
        """Label names of what :meth:`run` answers: those of the model unless :meth:`remap_to` changed them."""
        return self._answer_names

    def remap_to(self, names: Sequence[str]) -> DetectorExpert:
        """Answer in another label space from now on, by name and by ``remap``; labels may only be reordered.

        Raises:
            OrxeError: labels are left over on either side (see :func:`orxe_plugins.detection.labels.match_labels`).
        """
        index = match_labels(
            self.names,
            names,
            self.remap,
            allow_missing=self.allow_missing,
            who=f"the labels of expert {self.name!r}",
            whom="the labels asked for",
        )
        self._answer_names = tuple(names)
        self._label_index = None if self.names == self._answer_names else torch.from_numpy(index)
        return self

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        """Detections of B original images, in the model's labels."""
        raise NotImplementedError

    def run(self, batch: Sequence[Any]) -> Answers:
        """Detections and confidence of B original images."""
        with self.watched():
            return self.answers(self(batch))

    def answers(self, found: Sequence[Detections], judged: Sequence[Detections] | None = None) -> Answers:
        """The model's detections in the labels asked for and with calibrated scores.

        Args:
            found: B detections, as :meth:`forward` gives them.
            judged: B detections that the confidence is taken of, where it is not ``found``.
        """
        outputs = [self._relabelled(detections) for detections in found]
        judged = outputs if judged is None else [self._relabelled(detections) for detections in judged]
        confidence = self.judge(judged)
        if self.calibration is not None:
            outputs = [self.calibration.of_detections(detections) for detections in outputs]
        return Answers(outputs, confidence)

    def _relabelled(self, detections: Detections) -> Detections:
        if self._label_index is None:
            return detections
        return detections.relabelled(self._label_index, self._answer_names)
