"""The classes and labels that experts of one cascade have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert


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
