"""The classes and labels that the experts of one cascade have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_map import LabelMap


def check_same_classes(experts: Sequence[Expert]) -> None:
    """Raise unless experts can stand in one cascade: all detectors, or all with the same number of classes."""
    counts = class_counts(experts)
    check_class_counts(counts)
    detectors = [e for e in experts if isinstance(e, DetectorExpert)]
    if detectors and counts:
        raise OrxeError(
            f"expert {detectors[0].name!r} is a detector and {next(iter(counts))!r} a classifier: "
            "experts of one cascade must have one task"
        )


def class_counts(experts: Sequence[Expert]) -> dict[str, int]:
    """Number of classes of each classifier among the experts, by its name."""
    return {expert.name: expert.num_classes for expert in experts if isinstance(expert, ClassifierExpert)}


def check_class_counts(counts: Mapping[str, int]) -> None:
    """Raise unless all classifiers of one cascade have the same number of classes.

    Args:
        counts: expert's name -> number of its classes.
    """
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise OrxeError(f"experts of one cascade must have the same classes, but they have {listed}")


def shared_labels(
    experts: Sequence[Expert],
    names: Sequence[str] | None = None,
    remap: Mapping[str, str | None] | None = None,
) -> dict[nn.Module, LabelMap]:
    """How each detector of one cascade answers in the label space that they share; no expert is changed.

    Args:
        experts: the experts; those that are no detectors are left out.
        names: the label names; by default those of the first detector without a remap, for that is what the others
            are remapped to.
        remap: what a label is called among ``names``, for every detector that knows it; None drops it. It goes before
            a detector's own ``remap``.

    Raises:
        OrxeError: no detector has a label of ``remap``, or a detector lacks labels, or has others, that no remap
            explains.
    """
    detectors = [expert for expert in experts if isinstance(expert, DetectorExpert)]
    remap = remap or {}
    known = {normalise_label(name) for expert in detectors for name in expert.names}
    for name in remap:
        if normalise_label(name) not in known:
            raise unknown("label in the remap", name, known)
    remaps = [_remap_of(expert, remap) for expert in detectors]
    if names is None and detectors:
        names = next((e for e, own in zip(detectors, remaps, strict=True) if not own), detectors[0]).answer_names
    return {expert: expert.labels_in(names or (), own) for expert, own in zip(detectors, remaps, strict=True)}


def _remap_of(expert: DetectorExpert, remap: Mapping[str, str | None]) -> dict[str, str | None]:
    """The expert's own remap, and the part of the cascade's that names labels of the expert."""
    own = {normalise_label(name) for name in expert.names}
    return {**expert.remap, **{old: new for old, new in remap.items() if normalise_label(old) in own}}
