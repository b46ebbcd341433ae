"""DetectorExpert: original images in, detections out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import nn

from orxe_plugins.confidence.boxes import MeanBoxScore
from orxe_plugins.detection.calibration import Calibration
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Answers, Expert
from orxe_plugins.experts.label_map import LabelMap


class DetectorExpert(Expert):
    """An object detector: a list of original images in, one :class:`Detections` for each out.

    Adapters subclass it and implement :meth:`forward`: the batch is a list of B original images
    (see ``orxe_plugins.data.images``) of any sizes, the answer a list of B detections with boxes in the
    pixels of those images and the labels of ``names``. The module underneath is what operations are
    counted on. A subclass that calls its module several times for a batch takes the context beside the batch and
    says ``context.next_call_on(self, rows)`` before each call. One with a :meth:`run` of its own ends it with
    :meth:`answers`.

    Args:
        names: label names of the model; label k of :meth:`forward` is ``names[k]``.

    Attributes:
        remap: what a label of the model is called in the label space that :meth:`remap_to` asks
            for; None drops the label. Labels that are not in it are matched by name.
        allow_missing: the label space may have labels that the model does not know.
        classes: one of ``label_space.CLASSES``: whether the model may know labels that the label space lacks, which are
            then dropped ("data", "intersect"), or not ("same").
        calibration: applied to the scores of what :meth:`run` answers, after the confidence was
            taken of the raw ones: it changes how boxes of several experts rank, not which expert answers.
    """

    def __init__(self, name: str, module: nn.Module, *, names: Sequence[str], **options: Any) -> None:
        options.setdefault("confidence", MeanBoxScore())
        super().__init__(name, module, **options)
        self.names = tuple(names)
        self.remap: dict[str, str | None] = {}
        self.allow_missing = False
        self.classes = "same"
        self.calibration: Calibration | None = None
        self._own_labels = LabelMap(self.names)

    @property
    def answer_names(self) -> tuple[str, ...]:
        """Label names of what :meth:`run` answers alone: those of the model unless :meth:`remap_to` changed them."""
        return self._own_labels.names

    def remap_to(self, names: Sequence[str], may_lack: Collection[str] = ()) -> DetectorExpert:
        """Answer in another label space from now on, by name and by ``remap``; see ``classes`` for other labels.

        A cascade that the expert serves in has a label space of its own, which stays.

        Args:
            names: the label names.
            may_lack: those of them that the model need not know.

        Raises:
            OrxeError: labels are left over on either side (see :func:`orxe_plugins.detection.labels.match_labels`).
        """
        self._own_labels = self._map_to(names, self.remap, self.classes, may_lack)
        return self

    def knows(self, name: str, remap: Mapping[str, str | None] | None = None) -> bool:
        """Whether the model has a label that is called ``name`` in a label space, by name and by ``remap``."""
        renamed = {normalise_label(old): new for old, new in (self.remap if remap is None else remap).items()}
        answered = (renamed.get(normalise_label(own), own) for own in self.names)
        return normalise_label(name) in {normalise_label(own) for own in answered if own is not None}

    def labels_in(
        self,
        names: Sequence[str],
        remap: Mapping[str, str | None],
        classes: str | None = None,
        may_lack: Collection[str] = (),
    ) -> LabelMap:
        """How the expert answers in a label space, by name and by ``remap``; nothing is changed.

        Args:
            names: the label names.
            remap: what a label of the model is called among them; None drops it.
            classes: takes the place of the expert's own ``classes``.
            may_lack: labels that the model need not know.

        Raises:
            OrxeError: labels are left over on either side (see :func:`orxe_plugins.detection.labels.match_labels`).
        """
        if not remap and self.answer_names == tuple(names):
            return self._own_labels
        return self._map_to(names, remap, classes or self.classes, may_lack)

    def labels_of(self, context: BatchContext) -> LabelMap:
        """The label space to answer in: the cascade's; the expert's own where it runs alone."""
        return context.setup.labels.get(self, self._own_labels)

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        """Detections of B original images, in the model's labels."""
        raise NotImplementedError

    def answers(
        self, outputs: Sequence[Detections], context: BatchContext, confidence_from: Sequence[Detections] | None = None
    ) -> Answers:
        """The model's detections in the labels asked for and with calibrated scores.

        Args:
            outputs: B detections, as :meth:`forward` gives them.
            context: what the cascade's experts share.
            confidence_from: B detections that the confidence is taken of, where it is not ``outputs``.
        """
        labels = self.labels_of(context)
        found = [labels.of(detections) for detections in outputs]
        raw = found if confidence_from is None else [labels.of(detections) for detections in confidence_from]
        confidence = self.confidence_of(raw, context)
        if self.calibration is not None:
            found = [self.calibration.of_detections(detections) for detections in found]
        return Answers(found, confidence)

    def _map_to(
        self, names: Sequence[str], remap: Mapping[str, str | None], classes: str, may_lack: Collection[str]
    ) -> LabelMap:
        free = {normalise_label(name) for name in may_lack}
        lacking = [name for name in names if normalise_label(name) not in free and not self.knows(name, remap)]
        return LabelMap.between(
            self.names,
            names,
            remap,
            allow_missing=self.allow_missing or not lacking,
            allow_extra=classes != "same",
            expert=self.name,
        )
