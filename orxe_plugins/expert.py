"""Expert: one pretrained model with its own preprocessing, cost and confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orxe_plugins.calibration import Calibration
from orxe_plugins.confidence import ConfidenceProvider, MaxSoftmax, MeanBoxScore
from orxe_plugins.cost.macs import cached_macs, count_macs
from orxe_plugins.detections import Detections
from orxe_plugins.errors import OrxeError
from orxe_plugins.features import FeatureTap
from orxe_plugins.journey import note_answer
from orxe_plugins.labels import match_labels
from orxe_plugins.views import ImageView

#: the taps that are open in this thread, by expert
_TAPS: ContextVar[dict[int, FeatureTap]] = ContextVar("taps", default={})  # noqa: B039 (never changed in place)


@dataclass(frozen=True)
class FeatureLayer:
    """Where in a model the features are that a ranking gate looks at.

    Attributes:
        path: dotted name of a submodule of ``Expert.module``.
        side: "input" or "output" of that submodule. A tensor (B, F), (B, T, F) or (B, F, H, W) is expected;
            of a tuple, list or mapping the last value counts.
    """

    path: str
    side: Literal["input", "output"] = "output"


@dataclass(frozen=True)
class Answers:
    """What an expert says of a batch.

    Attributes:
        outputs: the expert's outputs for B samples, of the kind that the task works on.
        confidence: float32 tensor of shape (B,), in [0, 1].
    """

    outputs: Any
    confidence: Tensor


class Expert(nn.Module):
    """One pretrained model behind one interface: ``run(batch) -> Answers``.

    A plain torch module becomes an expert as it is: batches reach it unchanged. Adapters
    subclass this to prepare the view that their model was trained for.

    Args:
        name: how the expert is called in tables; also its address where it has one.
        module: the model.
        confidence: what its confidence is; max softmax by default.
        cost: cost per sample, GMACs unless said otherwise; None counts it when it is first needed.
        shared_cost: what a sample pays beside that if this expert answers it: the backbone up to here,
            which exits share (see ``orxe_plugins.sharing``).
        needs: name of the expert whose answer this one builds on.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        confidence: ConfidenceProvider | None = None,
        cost: float | None = None,
        shared_cost: float = 0.0,
        needs: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.module = module
        self.confidence = confidence if confidence is not None else MaxSoftmax()
        self.cost = cost
        self.shared_cost = shared_cost
        self.needs = needs
        #: how the expert can be built again: see registry.ExpertSpec; None for a module made by hand
        self.spec: Any = None
        #: all that the counted cost depends on, to look it up instead of counting again; None counts
        self.cost_key: dict[str, Any] | None = None
        #: where ranking gates find features; None if the adapter knows no such place
        self.feature_layer: FeatureLayer | None = None
        #: an exit of the same cascade builds on this expert's answer, which is noted for it
        self.is_needed = False

    @property
    def params(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def device(self) -> torch.device:
        """Where the parameters live; the CPU for a module without any."""
        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    def prepare(self, batch: Any) -> Any:
        """The expert's own view of a batch."""
        return batch

    def forward(self, batch: Any) -> Any:
        """Outputs for a batch, as the task works on them: for a classifier, logits (B, C)."""
        return self.module(self.prepare(batch))

    def run(self, batch: Any) -> Answers:
        """Outputs and confidence for a batch of B samples."""
        with self.watched(always=self.is_needed) as tap:
            outputs = self(batch)
            if self.is_needed and tap is not None:
                note_answer(self.name, {"outputs": outputs, "features": tap.features(len(outputs))})
            return Answers(outputs, self.judge(outputs))

    def observe(self, batch: Any) -> dict[str, Tensor]:
        """What exits build on: the ``outputs`` (B, C) for a batch and the pooled ``features`` (B, F) behind them.

        Raises:
            OrxeError: the expert exposes no features.
        """
        with self.watched(always=True) as tap:
            outputs = self(batch)
            assert tap is not None
            return {"outputs": outputs, "features": tap.features(len(outputs))}

    def join(self, experts: Sequence[Expert]) -> None:
        """Become part of a cascade: its experts are introduced to each other before the first batch."""

    def judge(self, outputs: Any) -> Tensor:
        """Confidence of B outputs, float32 (B,); a ranking gate also looks at the features just watched."""
        if not self.confidence.needs_features:
            return self.confidence(outputs).to(torch.float32)
        return self.confidence(outputs, _TAPS.get()[id(self)].features(len(outputs))).to(torch.float32)

    @contextmanager
    def watched(self, always: bool = False) -> Iterator[FeatureTap | None]:
        """Catch the features of ``feature_layer`` inside a ``with`` block, if the confidence needs them.

        Args:
            always: whether or not it does.

        Raises:
            OrxeError: the expert has no such layer.
        """
        if not (always or self.confidence.needs_features):
            yield None
            return
        if self.feature_layer is None:
            raise OrxeError(
                f"expert {self.name!r} exposes no features: neither a ranking gate nor exits can be used with it"
            )
        with FeatureTap(self.module, self.feature_layer.path, self.feature_layer.side) as tap:
            token = _TAPS.set({**_TAPS.get(), id(self): tap})
            try:
                yield tap
            finally:
                _TAPS.reset(token)

    def looks_at(self, rows: Sequence[int]) -> None:
        """Tell whoever watches the features that the next call of the module is on these rows of the batch."""
        tap = _TAPS.get().get(id(self))
        if tap is not None:
            tap.looks_at(rows)

    def example(self) -> Any | None:
        """One sample's view with made-up content, to count operations on; None if none is known."""
        return None

    def measure_cost(self, batch: Any = None) -> float:
        """GMACs for one sample, counted once and kept in ``cost``.

        Args:
            batch: samples to count on, if the expert knows no example of its own.
        """
        if self.cost is None:
            view = self.example()
            if view is None:
                if batch is None:
                    raise OrxeError(f"the cost of expert {self.name!r} is not known: give cost=, or run it once")
                view = self.prepare(batch)[:1]
            if self.cost_key is None:
                macs = count_macs(self.module, view)
            else:
                macs = cached_macs(self.cost_key, lambda: count_macs(self.module, view))
            self.cost = macs / 1e9 + self.confidence.gmacs
        return self.cost


class ClassifierExpert(Expert):
    """An image classifier: one view of an image in, logits out.

    Args:
        view: what the model was trained to see.
        num_classes: number of classes C.

    Attributes:
        input_view: the view that float tensors handed to the expert were made with; a cascade sets
            it to its own. Original images (PIL or uint8) do not need it.
        names: class names where they are known, else empty.
    """

    def __init__(self, name: str, module: nn.Module, *, view: ImageView, num_classes: int, **options: Any) -> None:
        super().__init__(name, module, **options)
        self.view = view
        self.num_classes = num_classes
        self.input_view = view
        self.names: tuple[str, ...] = ()

    def prepare(self, batch: Any) -> Tensor:
        """The expert's view, float tensor (B, C, h, w).

        Args:
            batch: a float tensor (B, C, H, W) as ``input_view`` makes it, or original images: a
                list of PIL images or uint8 arrays, or a uint8 tensor (B, C, H, W).
        """
        if isinstance(batch, Tensor) and batch.is_floating_point():
            return self.view.from_tensor(batch, self.input_view)
        return self.view.from_images(batch).to(self.device)

    def example(self) -> Tensor:
        return torch.zeros((1, self.view.channels, *self.view.size), device=self.device)


class DetectorExpert(Expert):
    """An object detector: a list of original images in, one :class:`Detections` for each out.

    Adapters subclass it and implement :meth:`forward`: the batch is a list of B original images
    (see ``orxe_plugins.images``) of any sizes, the answer a list of B detections with boxes in the
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
            OrxeError: labels are left over on either side (see :func:`orxe_plugins.labels.match_labels`).
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


def check_same_classes(experts: Sequence[Expert]) -> None:
    """Make the experts of one cascade answer in the same classes, or raise.

    Classifiers must have the same number of classes. Detectors are brought into the label space of
    the first one, by name and by their ``remap``.
    """
    counts = {e.name: e.num_classes for e in experts if isinstance(e, ClassifierExpert)}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise OrxeError(f"experts of one cascade must have the same classes, but they have {listed}")
    detectors = [e for e in experts if isinstance(e, DetectorExpert)]
    if detectors and counts:
        raise OrxeError(
            f"expert {detectors[0].name!r} is a detector and {next(iter(counts))!r} a classifier: "
            "experts of one cascade must have one task"
        )
    share_labels(detectors)


def share_labels(experts: Sequence[DetectorExpert], names: Sequence[str] | None = None) -> None:
    """Make detectors answer in one label space.

    Args:
        experts: the detectors; each keeps its own ``remap``.
        names: the label names; by default those of the first expert without a ``remap``, for that
            is what the others are remapped to.

    Raises:
        OrxeError: an expert lacks labels, or has others, that its ``remap`` does not explain.
    """
    if names is None and experts:
        names = next((e for e in experts if not e.remap), experts[0]).answer_names
    for expert in experts:
        if names is not None and (expert.remap or expert.answer_names != tuple(names)):
            expert.remap_to(names)
