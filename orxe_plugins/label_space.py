"""One label space for the detectors of a cascade, which may number or spell their labels differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orxe_plugins.errors import unknown
from orxe_plugins.expert import DetectorExpert, Expert, share_labels
from orxe_plugins.labels import normalise_label


def answer_in(
    experts: Sequence[Expert],
    names: Sequence[str] | None = None,
    remap: Mapping[str, str | None] | None = None,
) -> None:
    """Make the detectors among the experts of one cascade answer in one label space.

    Args:
        experts: the experts; classifiers are left alone.
        names: the wanted label names; those of the first detector without a remap by default.
        remap: what a label is called among ``names``, for every detector that knows it; None drops it.

    Raises:
        OrxeError: no detector has a label of ``remap``, or labels are left over.
    """
    detectors = [expert for expert in experts if isinstance(expert, DetectorExpert)]
    remap = remap or {}
    known = {normalise_label(name) for expert in detectors for name in expert.names}
    for name in remap:
        if normalise_label(name) not in known:
            raise unknown("label in the remap", name, known)
    for expert in detectors:
        own = {normalise_label(name) for name in expert.names}
        expert.remap.update({old: new for old, new in remap.items() if normalise_label(old) in own})
    share_labels(detectors, names)
