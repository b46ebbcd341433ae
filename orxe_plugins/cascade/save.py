"""Writing a cascade that was built in Python into a folder that every framework's model loads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import FILE_NAME, CascadeFile, write_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.fingerprint import expert_weights
from orxe_plugins.experts.packing import current_spec
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable

#: tasks that follow from the class of every expert
_TASKS = {DetectorExpert: "detection", ClassifierExpert: "classification"}


def save_cascade(cascade: Cascade | CascadeFile, folder: str | Path, *, task: str | None = None) -> Path:
    """Write ``folder/cascade.json``, from which :func:`load_cascade` and every framework's model build the cascade.

    How to build each expert is written, its confidence and its calibration among it, and the policy table; a cascade
    whose thresholds were given by hand gets a table with these alone. Weights are not written: each expert's address
    or checkpoint says where they are. Their fingerprint is, so that other weights are refused when the folder is
    loaded; those of a model in half precision are not known any more, and its fingerprint stays as it was loaded.

    Args:
        cascade: a cascade of experts that came from :func:`load_expert`, or what a ``cascade.json`` says.
        folder: where to write; made if it is missing.
        task: name of the task; needed where the experts are neither all classifiers nor all detectors.

    Returns:
        The file's path.

    Raises:
        OrxeError: an expert was made from a module by hand, the task is not known, or labels were renamed by
            ``remap`` of the cascade, which the file cannot hold.
    """
    if isinstance(cascade, CascadeFile):
        return write_cascade(folder, cascade)
    _check_labels(cascade)
    specs = tuple(map(_spec_with_weights, cascade.members))
    table = cascade.table or _table_of(cascade)
    kind, labels = task or _task_of(cascade.members), cascade.answer_names or None
    return write_cascade(folder, CascadeFile(specs, table, kind, cascade.input_view, labels=labels))


def _spec_with_weights(expert: Expert) -> ExpertSpec:
    """How to build an expert as it is now, with its weights' fingerprint."""
    spec = current_spec(expert)
    kinds = {part.dtype for part in expert.state_dict().values() if isinstance(part, torch.Tensor)}
    # Rounded weights are others than those that loading gives.
    return spec if kinds & {torch.float16, torch.bfloat16} else replace(spec, fingerprint=expert_weights(expert))


def _check_labels(cascade: Cascade) -> None:
    """Raise where a loaded cascade would take other labels of its experts for the same."""
    detectors = [expert for expert in cascade.members if isinstance(expert, DetectorExpert)]
    remapped = [repr(expert.name) for expert in detectors if _renamed(expert.remap) != _renamed(_written_remap(expert))]
    if _renamed(cascade.setup.remap) or remapped:
        which = f" of expert {' and '.join(remapped)}" if remapped else ""
        raise OrxeError(
            f"the labels of this cascade{which} were renamed by remap=, which {FILE_NAME} cannot hold: give it as the "
            "option `remap` of each expert, or again to what loads the cascade"
        )


def _renamed(remap: Mapping[str, str | None]) -> dict[str, str]:
    """The part of a remap that drops no label: labels that are not among the cascade's are dropped without it."""
    return {old: new for old, new in remap.items() if new is not None}


def _written_remap(expert: DetectorExpert) -> dict[str, str | None]:
    """The remap that the expert's spec holds."""
    return dict(expert.spec.options.get("remap") or {}) if isinstance(expert.spec, ExpertSpec) else {}


def _table_of(cascade: Cascade) -> PolicyTable:
    """The thresholds in force as a table of one row; what they cost and score was never measured."""
    row = PolicyRow(0.5, cascade.policy, cost=math.nan, score=math.nan)
    return PolicyTable((row,), details={"thresholds": "given by hand"})


def _task_of(experts: tuple[Expert, ...]) -> str:
    for kind, task in _TASKS.items():
        if all(isinstance(expert, kind) for expert in experts):
            return task
    listed = ", ".join(f"{expert.name}: {type(expert).__name__}" for expert in experts)
    raise OrxeError(f"the task of this cascade is not known ({listed}): give task='NAME', as recipes do")
