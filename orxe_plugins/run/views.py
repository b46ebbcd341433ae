"""Whether experts of the user's own weights see images as they were trained to."""

from __future__ import annotations

from orxe_plugins.data.datasets import BadSampleError, Dataset
from orxe_plugins.evaluation.view_trial import SAMPLES, likelier_view
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.tasks.classification import Classification
from orxe_plugins.tasks.task import Task

#: what a spec's options say of the normalisation
_SAID = {"mean", "std"}


def may_be_doubted(spec: ExpertSpec, expert: Expert, task: Task) -> bool:
    """Whether an expert is a classifier of a file of weights of which nobody said how its images are normalised.

    Nothing in such a file says how it was trained; a framework knows its own weights.
    """
    _, _, options = parse_address(spec.address)
    given = {**options, **spec.options}
    has_file = spec.checkpoint is not None or given.get("checkpoint") is not None
    is_classifier = isinstance(task, Classification) and isinstance(expert, ClassifierExpert)
    return has_file and is_classifier and not _SAID & set(given)


def doubt_about_view(spec: ExpertSpec, expert: Expert, dataset: Dataset, task: Task) -> str:
    """A sentence where an expert answers a few samples better with another usual normalisation; else empty.

    Args:
        spec: how the expert was built.
        expert: the expert; only those that :func:`may_be_doubted` are tried.
        dataset: labelled samples; a few of them are answered, up to three times.
        task: says which answers are right.
    """
    if not may_be_doubted(spec, expert, task) or not isinstance(expert, ClassifierExpert):
        return ""
    images, targets = [], []
    number = min(SAMPLES, len(dataset))
    for place in (i * len(dataset) // number for i in range(number)):
        try:
            images.append(dataset.load(place))
        except BadSampleError:
            continue
        targets.append(dataset.targets[place])
    found = likelier_view(expert, images, targets, task)
    return "" if found is None else found.sentence()
