"""Exits inside of a backbone, and the backbone's own end, as experts of a cascade."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from orxe_plugins.cost.macs import count_macs
from orxe_plugins.data.batch import take_rows
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn.backbone import Backbone, Behind, StageCache, UpTo, places_in
from orxe_plugins.esn.network import ExitNetwork
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert, FeatureLayer


class OnBackbone(ClassifierExpert):
    """An expert that shares a backbone with others of its cascade.

    Args:
        name: as of any expert.
        module: what has its parameters.
        backbone: the backbone.
        key: equal for experts whose backbones are the same; in a cascade they all use the first one's.
        stage: the last stage that this expert needs.
        **options: see :class:`ClassifierExpert`.
    """

    def __init__(
        self, name: str, module: nn.Module, backbone: Backbone, *, key: Hashable, stage: int, **options: Any
    ) -> None:
        super().__init__(name, module, **options)
        self.backbone = backbone
        self.key = key
        self.stage = stage
        self.shared_cost = count_macs(UpTo(backbone, stage), self.example()) / 1e9

    def shareable(self) -> Mapping[Hashable, Any]:
        return {self.key: self.backbone}

    def share_with(self, experts: Sequence[Expert]) -> None:
        same = next((e for e in experts if isinstance(e, OnBackbone) and e.key == self.key), self)
        self.adopt(same.backbone)

    def adopt(self, backbone: Backbone) -> None:
        """Hold another expert's backbone, which is the same one, in place of this one's copy."""
        self.backbone = backbone

    def cache(self, context: BatchContext) -> StageCache:
        """What the stages of the backbone that the cascade's experts share gave for the batch so far."""
        backbone = cast(Backbone, context.setup.shared.get(self.key, self.backbone))
        return context.note((StageCache, self.key), lambda: StageCache(backbone, context.size))

    def run_shared(self, batch: Any, context: BatchContext) -> None:
        self.stage_output(batch, context)

    def stage_output(self, batch: Any, context: BatchContext) -> Tensor:
        """The output of this expert's stage for the rows at hand, computed from what is known of them."""

        def prepare(some: Tensor | None) -> Tensor:
            places = places_in(context.rows, some)
            return self.prepare(self.as_if_alone(batch if places is None else take_rows(batch, places), context))

        return self.cache(context).output_of(self.stage, context.rows, prepare)


class EndExpert(OnBackbone):
    """The model itself, which continues from the last stage that ran for an exit.

    Args:
        name: as of any expert.
        backbone: the backbone.
        key: see :class:`OnBackbone`.
        **options: see :class:`ClassifierExpert`.
    """

    def __init__(self, name: str, backbone: Backbone, *, key: Hashable, **options: Any) -> None:
        super().__init__(name, backbone.model, backbone, key=key, stage=len(backbone.names) - 1, **options)

    def adopt(self, backbone: Backbone) -> None:
        super().adopt(backbone)
        self.module = backbone.model

    def forward(self, batch: Any, context: BatchContext | None = None) -> Tensor:
        context = BatchContext.of(batch) if context is None else context
        return self.backbone.head(self.stage_output(batch, context))

    def measure_cost(self, batch: Any = None) -> float:
        if self.cost is None:
            values = self.example().new_zeros((1, *self.backbone.shapes[-1]))
            self.cost = count_macs(Behind(self.backbone), values) / 1e9 + self.confidence.gmacs
        return self.cost


class ExitExpert(OnBackbone):
    """One exit of an :class:`ExitNetwork`.

    Within a cascade, it builds on the saver's answers, which are noted there; alone, it runs the saver itself.

    Args:
        name: as of any expert.
        backbone: the backbone that the exit lies in.
        network: the exits' network.
        key: see :class:`OnBackbone`.
        stage: number of the stage that the exit stands behind.
        saver: the saver's name, and a function that builds it; None for plain attached exits.
        check_saver: is called with the saver; raises if the exits were trained behind another one.
        **options: see :class:`ClassifierExpert`.

    Raises:
        OrxeError: there is no exit behind that stage, or the network wants a saver and there is none.
    """

    def __init__(
        self,
        name: str,
        backbone: Backbone,
        network: ExitNetwork,
        *,
        key: Hashable,
        stage: int,
        saver: tuple[str, Callable[[], Expert]] | None = None,
        check_saver: Callable[[Expert], None] | None = None,
        **options: Any,
    ) -> None:
        shape = network.shape
        if stage not in shape.stages:
            listed = ", ".join(map(str, shape.stages))
            raise OrxeError(f"exit {stage!r} of {name!r}: its network has exits behind the stages {listed}")
        if (saver is None) != (shape.saver_width is None):
            wanted = "builds on a saver: name it by saver=" if saver is None else "has no saver: leave saver= out"
            raise OrxeError(f"the network of exit {name!r} {wanted}")
        module = nn.ModuleDict({"model": backbone.model, "network": network})
        super().__init__(name, module, backbone, key=key, stage=stage, **options)
        self.network = network
        self._seen = shape.stages[: shape.stages.index(stage) + 1]
        self.feature_layer = FeatureLayer(f"network.heads.{len(self._seen) - 1}", "input")
        self._make_saver = saver[1] if saver else None
        self._check_saver = check_saver
        #: the saver to run alone with, once it is known; in a tuple, since its parameters are not this expert's
        self._saver: tuple[Expert, ...] = ()
        if saver is not None:
            self.needs = saver[0]

    @property
    def params(self) -> int:
        """Number of the network's parameters: the backbone's are those of its end."""
        return sum(p.numel() for p in self.network.parameters())

    def adopt(self, backbone: Backbone) -> None:
        super().adopt(backbone)
        self.module["model"] = backbone.model  # type: ignore[operator]

    def check_beside(self, experts: Sequence[Expert]) -> None:
        saver = next((expert for expert in experts if expert.name == self.needs), None)
        if saver is not None:
            self._check(saver)

    def share_with(self, experts: Sequence[Expert]) -> None:
        super().share_with(experts)
        saver = next((expert for expert in experts if expert.name == self.needs), None)
        if saver is not None:
            self._check(saver)
            self._saver = (saver,)

    def forward(self, batch: Any, context: BatchContext | None = None) -> Tensor:
        context = BatchContext.of(batch) if context is None else context
        self.stage_output(batch, context)
        features = self.cache(context).pooled(self._seen, context.rows)
        if self.needs is None:
            return self.network.answer(features)
        known = self._saver_answers(self.needs, batch, context)
        return self.network.answer([known["features"], *features], known["outputs"])

    def measure_cost(self, batch: Any = None) -> float:
        if self.cost is None:
            shape, like = self.network.shape, self.example()
            widths = shape.widths[: len(self._seen)]
            if shape.saver_width is not None:
                widths = (shape.saver_width, *widths)
            features = [like.new_zeros((1, width)) for width in widths]
            # The saver's logits are only added.
            self.cost = count_macs(_Answer(self.network), features) / 1e9 + self.confidence.gmacs
        return self.cost

    def _saver_answers(self, name: str, batch: Any, context: BatchContext) -> dict[str, Tensor]:
        """The saver's features and outputs for the rows at hand; it runs on those that it has not answered."""
        notes = context.answers_of(name)
        lacking = notes.missing(context.rows)
        if lacking is None or len(lacking):
            saver = cast(Expert, context.setup.needed.get(name)) or self._own_saver()
            if lacking is None:
                notes.put(context.rows, saver.outputs_and_features(batch, context))
            else:
                rows = lacking if context.rows is None else context.rows[lacking.to(context.rows.device)]
                answers = saver.outputs_and_features(take_rows(batch, lacking), context.on_rows(rows))
                notes.put(rows, answers)
        return notes.get(context.rows)

    def _own_saver(self) -> Expert:
        """The saver of an exit that runs alone: the one that it was loaded beside, or else one that is built now."""
        if not self._saver:
            assert self._make_saver is not None
            built = self._make_saver()
            self._check(built)
            self._saver = (built,)
        saver = self._saver[0]
        if saver.device != self.device:
            saver.to(self.device)
        return saver

    def _check(self, saver: Expert) -> None:
        if self._check_saver is not None and not (self._saver and self._saver[0] is saver):
            self._check_saver(saver)


class _Answer(nn.Module):
    """One exit of a network, to count operations on."""

    def __init__(self, network: ExitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return self.network.answer(features)
