"""Writing a cascade that was built in Python into a folder that every framework's model loads."""

from __future__ import annotations

import math
from pathlib import Path

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import FILE_NAME, CascadeFile, write_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_space import shared_labels
from orxe_plugins.experts.packing import current_spec
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable

#: tasks that follow from the class of every expert
_TASKS = {DetectorExpert: "detection", ClassifierExpert: "classification"}


def save_cascade(cascade: Cascade | CascadeFile, folder: str | Path, *, task: str | None = None) -> Path:
    """Write ``folder/cascade.json``, from which :func:`load_cascade` and every framework's model build the cascade.

    How to build each expert is written, its confidence and its calibration among it, and the policy table; a cascade
    whose thresholds were given by hand gets a table with these alone. Weights are not written: each expert's address
    or checkpoint says where they are.

    Args:
        cascade: a cascade of experts that came from :func:`load_expert`, or what a ``cascade.json`` says.
        folder: where to write; made if it is missing.
        task: name of the task; needed where the experts are neither all classifiers nor all detectors.

    Returns:
        The file's path.

    Raises:
        OrxeError: an expert was made from a module by hand, the task is not known, or labels were renamed by
            ``names`` or ``remap``, which the file cannot hold.
    """
    if isinstance(cascade, CascadeFile):
        return write_cascade(folder, cascade)
    _check_labels(cascade)
    specs = tuple(current_spec(expert) for expert in cascade.members)
    table = cascade.table or _table_of(cascade)
    return write_cascade(folder, CascadeFile(specs, table, task or _task_of(cascade.members), cascade.input_view))


def _check_labels(cascade: Cascade) -> None:
    """Raise where a loaded cascade would answer in other labels than this one."""
    detectors = [expert for expert in cascade.members if isinstance(expert, DetectorExpert)]
    remapped = [repr(expert.name) for expert in detectors if expert.remap]
    if cascade.setup.remap or remapped or not _same_labels(cascade):
        which = f" of expert {' and '.join(remapped)}" if remapped else ""
        raise OrxeError(
            f"the labels of this cascade{which} were renamed by names= or remap=, which {FILE_NAME} cannot hold: "
            "save it without, and give them again to what loads it"
        )


def _same_labels(cascade: Cascade) -> bool:
    own = (labels.names for labels in shared_labels(cascade.members).values())
    return next(own, ()) == cascade.answer_names


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
