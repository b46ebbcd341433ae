"""Expert: one pretrained model with its own preprocessing, cost and confidence."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.confidence.softmax import MaxSoftmax
from orxe_plugins.cost.macs import cached_macs, count_macs
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.features import FeatureTap
from orxe_plugins.util.texts import check_name


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
    """What an expert answers to a batch.

    Attributes:
        outputs: the expert's outputs for B samples, of the kind that the task works on.
        confidence: float32 tensor of shape (B,), in [0, 1].
    """

    outputs: Any
    confidence: Tensor


class Expert(nn.Module):
    """One pretrained model behind one interface: ``run(batch) -> Answers``.

    A plain torch module becomes an expert as it is: batches reach it unchanged. Adapters
    subclass this and override :meth:`prepare`, or :meth:`forward`, to make the view that their model was trained
    for. Within a cascade, :meth:`run` gets a :class:`BatchContext` beside the batch. An expert that wants to see it
    overrides ``forward(batch, context=None)``.

    A cascade changes nothing in its experts, so that one expert may serve in several cascades.

    Args:
        name: how the expert is called in tables; also its address where it has one.
        module: the model.
        confidence: what its confidence is; max softmax by default.
        cost: cost per sample, GMACs unless said otherwise; None counts it when it is first needed.
        shared_cost: what a sample pays beside that if this expert answers it: the backbone up to here,
            which exits share (see ``orxe_plugins.cost.sharing``).
        needs: name of the expert whose answer this one builds on.
    """

    #: whether ``forward`` takes the context of the batch after the batch
    _takes_context: ClassVar[bool] = False
    #: whether it overrides one that does, and does not itself
    _drops_context: ClassVar[bool] = False

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
        self.name = check_name("the expert's name", name)
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
        # Its model is trained already; and a cascade that is built of it has no mode to change.
        self.eval()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        try:
            inspect.signature(cls.run).bind("self", "batch", "context")
        except TypeError as error:
            raise OrxeError(
                f"{cls.__qualname__}.run takes the batch alone, as in version 0.1: make it run(batch, context=None), "
                "or override forward(batch) instead"
            ) from error
        before = cls._takes_context
        cls._takes_context = "context" in inspect.signature(cls.forward).parameters
        cls._drops_context = not cls._takes_context and (before or cls._drops_context)

    @property
    def params(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def device(self) -> torch.device:
        """Where the parameters live; the CPU for a module without any."""
        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    # --- running ------------------------------------------------------------------------------

    def prepare(self, batch: Any) -> Any:
        """The expert's own view of a batch."""
        return batch

    def forward(self, batch: Any) -> Any:
        """Outputs for a batch, as the task works on them: for a classifier, logits (B, C).

        Args:
            batch: B samples.

        Raises:
            OrxeError: they are a list of tensors, and the model takes no list.
        """
        view = self.prepare(batch)
        try:
            return self.module(view)
        except (TypeError, AttributeError) as error:
            if not (isinstance(view, list) and view and all(isinstance(one, Tensor) for one in view)):
                raise
            shapes = sorted({tuple(one.shape) for one in view})
            raise OrxeError(
                f"the model of expert {self.name!r} takes no list of samples (here of shapes {str(shapes[:3])[1:-1]}): "
                "hand it samples of one shape as one tensor (B, ...), as torch.stack makes it"
            ) from error

    def run(self, batch: Any, context: BatchContext | None = None) -> Answers:
        """Outputs and confidence for a batch of B samples.

        Args:
            batch: the samples; within a cascade, those rows of its batch that reached this expert.
            context: what the cascade's experts share of the whole batch; None: the expert runs alone.
        """
        context = BatchContext.of(batch) if context is None else context
        fast = context.setup.fast.get(self)
        answers: Answers | None = None if fast is None else fast.run(batch, context)
        if answers is not None:
            return answers
        is_needed = context.setup.needed.get(self.name) is self
        with self.tap_features(context, always=is_needed) as tap:
            outputs = self.outputs_for(batch, context)
            if is_needed and tap is not None:
                context.answers_of(self.name).put(context.rows, _noted(outputs, tap))
            return self.answers(outputs, context)

    def run_shared(self, batch: Any, context: BatchContext) -> None:
        """Run what the ``shared_cost`` is paid for, so that the time of it can be measured; by default nothing."""

    def answers(self, outputs: Any, context: BatchContext) -> Answers:
        """The outputs of the model, as :meth:`forward` gives them, as answers with their confidence."""
        return Answers(outputs, self.confidence_of(outputs, context))

    def outputs_and_features(self, batch: Any, context: BatchContext | None = None) -> dict[str, Tensor]:
        """What exits build on: the ``outputs`` (B, C) for a batch and the pooled ``features`` (B, F) behind them.

        Raises:
            OrxeError: the expert exposes no features.
        """
        context = BatchContext.of(batch) if context is None else context
        with self.tap_features(context, always=True) as tap:
            assert tap is not None
            return _noted(self.outputs_for(batch, context), tap)

    def outputs_for(self, batch: Any, context: BatchContext) -> Any:
        """Outputs for the rows at hand of a cascade's batch."""
        if self._takes_context:
            return self(batch, context)
        return self(self.as_if_alone(batch, context))

    def as_if_alone(self, batch: Any, context: BatchContext) -> Any:
        """Rows of a cascade's batch as the expert takes them where it runs alone."""
        return batch

    def confidence_of(self, outputs: Any, context: BatchContext) -> Tensor:
        """Confidence of B outputs, float32 (B,); a ranking gate also looks at the features that were just tapped."""
        if not self.confidence.needs_features:
            return self.confidence(outputs).to(torch.float32)
        tap = context.taps.get(self)
        if tap is None:
            raise OrxeError(f"the ranking gate of expert {self.name!r} needs its features: use it inside tap_features")
        return self.confidence(outputs, tap.features(len(outputs))).to(torch.float32)

    @contextmanager
    def tap_features(self, context: BatchContext, always: bool = False) -> Iterator[FeatureTap | None]:
        """Catch the features of ``feature_layer`` inside a ``with`` block, if the confidence needs them.

        Args:
            context: keeps the tap while it is open; one that is open already is used again.
            always: catch them whether or not the confidence needs them.

        Raises:
            OrxeError: the expert has no such layer.
        """
        if self in context.taps:
            yield context.taps[self]
            return
        if not (always or self.confidence.needs_features):
            yield None
            return
        if self.feature_layer is None:
            raise OrxeError(
                f"expert {self.name!r} exposes no features: neither a ranking gate nor exits can be used with it"
            )
        layer = self.feature_layer
        with FeatureTap(self.module, layer.path, layer.side, in_order=not self._drops_context) as tap:
            context.taps[self] = tap
            try:
                yield tap
            finally:
                del context.taps[self]

    # --- beside other experts -----------------------------------------------------------------

    def check_beside(self, experts: Sequence[Expert]) -> None:
        """Raise unless the expert can serve in a cascade of these experts; nothing is changed."""

    def shareable(self) -> Mapping[Hashable, Any]:
        """What other experts may hold alike, by a key that is equal for equal things."""
        return {}

    def share_with(self, experts: Sequence[Expert]) -> None:
        """Hold what other experts hold alike instead of a copy: for an expert that was just loaded beside them."""

    # --- cost ---------------------------------------------------------------------------------

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


def _noted(outputs: Tensor, tap: FeatureTap) -> dict[str, Tensor]:
    return {"outputs": outputs, "features": tap.features(len(outputs))}
