"""The content of a saved cascade: plain values and tensors, so that no move of this project's code spoils a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orxe_plugins
from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.label_space import LabelSpace
from orxe_plugins.experts.packing import pack_expert, plain, unpack_expert
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.table import PolicyTable
from orxe_ultralytics.cascade_model import CascadeModel

#: raised when a release changes what :func:`pack_cascade` gives so that older ones cannot read it
FORMAT = 1


def pack_cascade(model: CascadeModel) -> dict[str, Any]:
    """A cascade as a dict of plain values and CPU tensors.

    Returns:
        ``format`` and ``orxe_plugins`` (the release that wrote it); ``experts``, see
        :func:`orxe_plugins.experts.packing.pack_expert`; ``names`` and ``remap`` of the label space; ``policy``, the
        current thresholds; ``table``, the fitted policies or None; ``args``, as Ultralytics keeps them on a model.

    Raises:
        OrxeError: an expert cannot be built again from plain data.
    """
    cascade = model.cascade
    return {
        "format": FORMAT,
        "orxe_plugins": orxe_plugins.__version__,
        "experts": [pack_expert(expert) for expert in cascade.members],
        "names": list(cascade.answer_names),
        "remap": plain(cascade.setup.remap, "the remap"),
        "policy": plain(cascade.policy.to_dict(), "the thresholds"),
        "table": None if cascade.table is None else plain(cascade.table.to_dict(), "the policy table"),
        "args": plain(model.args, "the model's args"),
    }


def unpack_cascade(content: Mapping[str, Any]) -> CascadeModel:
    """The inverse of :func:`pack_cascade`: the model in evaluation mode on the CPU.

    Raises:
        OrxeError: a later release wrote it, or what an expert needs is not there.
    """
    if content["format"] > FORMAT:
        raise OrxeError(
            f"the cascade was saved by orxe-plugins {content['orxe_plugins']} in format {content['format']}, and this "
            f"release reads up to {FORMAT}: upgrade with pip install -U orxe-plugins"
        )
    try:
        experts = [unpack_expert(packed) for packed in content["experts"]]
    except ImportError as error:
        # Ultralytics installs what a ModuleNotFoundError names while it reads a file.
        raise OrxeError(f"the saved cascade has an expert whose framework is not installed: {error}") from error
    table = None if content["table"] is None else PolicyTable.from_dict(content["table"])
    policy = Policy.from_dict(content["policy"])
    space = LabelSpace(content["names"], content["remap"], resolved=True)
    model = CascadeModel(Cascade(experts, policy, table, names=space))
    model.args.update(content["args"])
    return model
