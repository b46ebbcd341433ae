"""Exits inside of a backbone, and the backbone's own end, as experts of a cascade."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from torch import Tensor, nn

from orxe_plugins.cost.macs import count_macs
from orxe_plugins.data.batch import batch_size, take_rows
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn.backbone import Backbone, Behind, Passage, UpTo, places_in
from orxe_plugins.esn.network import ExitNetwork
from orxe_plugins.experts.batch_context import Journey, RowNotes, answers_of, this_journey
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert, FeatureLayer


class OnBackbone(ClassifierExpert):
    """An expert that shares a backbone with others of its cascade.

    Args:
        name: as of any expert.
        module: what has its parameters.
        backbone: the backbone.
        key: equal for experts whose backbones are the same; a cascade keeps one of them.
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

    def join(self, experts: Sequence[Expert]) -> None:
        first = next((e for e in experts if isinstance(e, OnBackbone) and e.key == self.key), self)
        self.adopt(first.backbone)

    def adopt(self, backbone: Backbone) -> None:
        """Use another expert's backbone, which is the same one."""
        self.backbone = backbone

    def reached(self, journey: Journey, batch: Any) -> Tensor:
        """The output of this expert's stage for the rows at hand, computed from what is known of them."""

        def prepare(some: Tensor | None) -> Tensor:
            places = places_in(journey.rows, some)
            return self.prepare(batch if places is None else take_rows(batch, places))

        return Passage.of(self.backbone, journey).reach(self.stage, journey.rows, prepare)


class EndExpert(OnBackbone):
    """The model itself, which goes on from where exits left its backbone.

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

    def forward(self, batch: Any) -> Tensor:
        with this_journey(batch_size(batch)) as journey:
            return self.backbone.head(self.reached(journey, batch))

    def measure_cost(self, batch: Any = None) -> float:
        if self.cost is None:
            values = self.example().new_zeros((1, *self.backbone.shapes[-1]))
            self.cost = count_macs(Behind(self.backbone), values) / 1e9 + self.confidence.gmacs
        return self.cost


class ExitExpert(OnBackbone):
    """One exit of an :class:`ExitNetwork`.

    Within a cascade, it builds on what the saver left there; alone, it runs the saver itself.

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
        #: the saver once it is known; in a tuple, since its parameters are not this expert's
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

    def join(self, experts: Sequence[Expert]) -> None:
        super().join(experts)
        saver = next((expert for expert in experts if expert.name == self.needs), None)
        if saver is not None:
            saver.is_needed = True
            self._meet(saver)

    def forward(self, batch: Any) -> Tensor:
        with this_journey(batch_size(batch)) as journey:
            self.reached(journey, batch)
            features = Passage.of(self.backbone, journey).pooled(self._seen, journey.rows)
            if self.needs is None:
                return self.network.answer(features)
            known = self._saver_answers(journey, batch)
            return self.network.answer([known["features"], *features], known["outputs"])

    def measure_cost(self, batch: Any = None) -> float:
        if self.cost is None:
            shape, like = self.network.shape, self.example()
            widths = shape.widths[: len(self._seen)]
            if shape.saver_width is not None:
                widths = (shape.saver_width, *widths)
            features = [like.new_zeros((1, width)) for width in widths]
            # The saver's logits are but added.
            self.cost = count_macs(_Answer(self.network), features) / 1e9 + self.confidence.gmacs
        return self.cost

    def _saver_answers(self, journey: Journey, batch: Any) -> dict[str, Tensor]:
        """The saver's features and outputs for the rows at hand; it runs on those that it did not see."""
        saver = self._met_saver()
        notes: RowNotes = answers_of(journey, saver.name)
        lacking = notes.missing(journey.rows)
        if lacking is None:
            notes.put(journey.rows, saver.observe(batch))
        elif len(lacking):
            rows = lacking if journey.rows is None else journey.rows[lacking.to(journey.rows.device)]
            notes.put(rows, saver.observe(take_rows(batch, lacking)))
        return notes.get(journey.rows)

    def _met_saver(self) -> Expert:
        if not self._saver:
            assert self._make_saver is not None
            self._meet(self._make_saver())
        saver = self._saver[0]
        if isinstance(saver, ClassifierExpert) and not saver.is_needed:
            # Nobody else tells a saver of its own which view the batch shows.
            saver.input_view = self.input_view
            saver.to(self.device)
        return saver

    def _meet(self, saver: Expert) -> None:
        if self._check_saver is not None and not (self._saver and self._saver[0] is saver):
            self._check_saver(saver)
        self._saver = (saver,)


class _Answer(nn.Module):
    """One exit of a network, to count operations on."""

    def __init__(self, network: ExitNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return self.network.answer(features)
