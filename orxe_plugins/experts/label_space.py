"""The classes and labels that the experts of one cascade have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_map import LabelMap

#: how labels that only the data or only some experts know are treated: they are an error; those that only an expert
#: knows are dropped; those that not all know are dropped
CLASSES = ("same", "data", "intersect")
#: options that experts of all adapters have: how their labels are brought into a label space
LABEL_OPTIONS = ("classes", "remap", "answer_in")


@dataclass(frozen=True)
class LabelSpace:
    """The labels that the experts of a cascade are asked to answer in.

    Attributes:
        names: the label names; None takes those of the first detector without a remap, for that is what the others
            are remapped to.
        remap: what a label is called among ``names``, for every detector that knows it; None drops it. It goes before
            a detector's own ``remap``.
        classes: one of :data:`CLASSES`, in place of the experts' own; None leaves theirs.
        resolved: whether ``names`` were settled when the experts were recorded: then labels that are left over on
            either side were looked at, and are no error.
    """

    names: Sequence[str] | None = None
    remap: Mapping[str, str | None] = field(default_factory=dict)
    classes: str | None = None
    resolved: bool = False

    def __post_init__(self) -> None:
        if self.classes is not None:
            check_classes(self.classes)


ANY_SPACE = LabelSpace()


def check_classes(classes: object) -> str:
    """``classes`` itself.

    Raises:
        OrxeError: it is none of :data:`CLASSES`.
    """
    if classes not in CLASSES:
        raise unknown("classes", str(classes), CLASSES)
    return str(classes)


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


def shared_labels(experts: Sequence[Expert], space: LabelSpace = ANY_SPACE) -> dict[nn.Module, LabelMap]:
    """How each detector of one cascade answers in the label space that they share; no expert is changed.

    Args:
        experts: the experts; those that are no detectors are left out.
        space: what is asked for.

    Raises:
        OrxeError: no detector has a label of the remap, or a detector lacks labels, or has others, that neither a remap
            nor ``classes`` explains.
    """
    detectors = [expert for expert in experts if isinstance(expert, DetectorExpert)]
    if not detectors:
        return {}
    known = {normalise_label(name) for expert in detectors for name in expert.names}
    for name in space.remap:
        if normalise_label(name) not in known:
            raise unknown("label in the remap", name, known)
    remaps = {expert: _remap_of(expert, space.remap) for expert in detectors}
    names = space.names if space.names is not None else _default_names(detectors, remaps, space.classes)
    may_lack: list[str] = []
    if space.resolved:
        # What no expert knows was left out of the answers when the data was recorded.
        names = [name for name in names if any(expert.knows(name, own) for expert, own in remaps.items())]
        may_lack = list(names)
    elif "intersect" in {space.classes, *(expert.classes for expert in detectors)}:
        names = [name for name in names if all(expert.knows(name, own) for expert, own in remaps.items())]
    if not names:
        raise OrxeError(
            f"the experts {_listed(detectors)} have no label in common: name labels that mean the same by `remap`"
        )
    return {
        expert: expert.labels_in(names, own, "data" if space.resolved else space.classes, may_lack)
        for expert, own in remaps.items()
    }


def _default_names(
    detectors: Sequence[DetectorExpert], remaps: Mapping[DetectorExpert, Mapping[str, str | None]], classes: str | None
) -> Sequence[str]:
    """The labels of the first detector without a remap; where some drop labels, the shortest list of a detector."""
    plain = [expert for expert in detectors if not remaps[expert]] or list(detectors[:1])
    if any((classes or expert.classes) == "data" for expert in detectors):
        return min((expert.answer_names for expert in plain), key=len)
    return plain[0].answer_names


def _listed(experts: Sequence[Expert]) -> str:
    return ", ".join(repr(expert.name) for expert in experts)


def _remap_of(expert: DetectorExpert, remap: Mapping[str, str | None]) -> dict[str, str | None]:
    """The expert's own remap, and the part of the cascade's that names labels of the expert."""
    own = {normalise_label(name) for name in expert.names}
    return {**expert.remap, **{old: new for old, new in remap.items() if normalise_label(old) in own}}
