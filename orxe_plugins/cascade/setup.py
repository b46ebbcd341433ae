"""What a cascade decides for its experts: the view of the one tensor, the label space, whose answers are noted."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from orxe_plugins.cost.sharing import check_sharing, positions_of
from orxe_plugins.data.views import ImageView, widest_view
from orxe_plugins.experts.batch_context import CascadeSetup
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_space import ANY_SPACE, LabelSpace, check_same_classes, shared_labels


def setup_of(
    experts: Sequence[Expert],
    input_view: ImageView | None = None,
    space: LabelSpace = ANY_SPACE,
) -> CascadeSetup:
    """What a cascade of these experts decides; the experts are checked and stay as they are.

    Args:
        experts: N experts in routing order.
        input_view: the view of the one float tensor that classifiers share; the widest of theirs by default.
        space: the labels that detectors are asked to answer in.

    Raises:
        OrxeError: the experts do not fit together.
    """
    for expert in experts:
        expert.check_beside(experts)
    check_same_classes(experts)
    labels = shared_labels(experts, space)
    needs = [expert.needs for expert in experts]
    positions = positions_of([expert.name for expert in experts], needs)
    check_sharing([expert.name for expert in experts], [expert.shared_cost for expert in experts], positions)
    needed = {experts[i].name: experts[i] for i in positions if i >= 0}
    return CascadeSetup(_input_view(experts, input_view), labels, dict(space.remap), needed, _shared(experts))


def _input_view(experts: Sequence[Expert], view: ImageView | None) -> ImageView | None:
    """The view of the one tensor that all classifiers share; None if there are no classifiers."""
    views = [expert.view for expert in experts if isinstance(expert, ClassifierExpert)]
    return (view or widest_view(views)) if views else None


def _shared(experts: Sequence[Expert]) -> dict[Hashable, Any]:
    """What experts hold alike, each time the first one's."""
    shared: dict[Hashable, Any] = {}
    for expert in experts:
        for key, part in expert.shareable().items():
            shared.setdefault(key, part)
    return shared
