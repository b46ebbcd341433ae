"""Expert: one pretrained model with its own preprocessing, cost and confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orxe_plugins.confidence import ConfidenceProvider, MaxSoftmax
from orxe_plugins.cost.macs import cached_macs, count_macs
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import note_answer
from orxe_plugins.experts.features import FeatureTap

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
            which exits share (see ``orxe_plugins.cost.sharing``).
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
