"""An expert as plain values and tensors, out of which it is built again without the files that it came from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor, nn

from orxe_plugins.confidence.gate import RankingGate, save_gate
from orxe_plugins.confidence.provider import ConfidenceProvider, confidence_from_dict
from orxe_plugins.detection.calibration import calibration_from_dict
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import load_adapter, without_label_options
from orxe_plugins.experts.spec import ExpertSpec, parse_address

_GATE_FILE = "gate.safetensors"


def pack_expert(expert: Expert) -> dict[str, Any]:
    """An expert as a dict of plain values and CPU tensors: its spec, and what its adapter needs to build its model.

    The expert is built once from the dict, so that what cannot be loaded is not saved either.

    Args:
        expert: an expert that an adapter's ``load_expert`` built.

    Raises:
        OrxeError: the expert was made by hand, its adapter packs no experts, its confidence has no name, or it was
            changed after it was loaded so that its adapter cannot build it again.
    """
    spec = current_spec(expert)
    packed: dict[str, Any] = {"spec": spec.to_dict(), "confidence": _pack_confidence(expert.confidence)}
    if isinstance(expert, ClassifierExpert) and expert.columns is not None:
        packed["answer_in"] = dict(zip(expert.names, expert.columns.tolist(), strict=True))
    if isinstance(expert, DetectorExpert):
        packed["remap"] = dict(expert.remap)
        packed["allow_missing"] = expert.allow_missing
        packed["classes"] = expert.classes
    packed["built"] = _adapter_of(spec).pack_expert(expert)
    packed = plain(packed, f"expert {expert.name!r}")
    try:
        unpack_expert(packed)
    except (OrxeError, ImportError, RuntimeError, TypeError, KeyError) as error:
        raise OrxeError(
            f"expert {expert.name!r} cannot be saved, because it cannot be built again as it is ({error}): was its "
            "model changed after it was loaded?"
        ) from error
    return packed


def unpack_expert(packed: Mapping[str, Any]) -> Expert:
    """The expert that :func:`pack_expert` packed, in evaluation mode on the CPU. Nothing is downloaded.

    Raises:
        OrxeError: its adapter does not know the model any more, or a part of it that is kept in a file of its own
            (an exported model, the code of an mmdetection project) is not there.
        ImportError: the adapter's framework is not installed.
    """
    spec = ExpertSpec(**packed["spec"])
    _, name, in_address = parse_address(spec.address)
    options = without_label_options({**in_address, **spec.options})
    expert: Expert = _adapter_of(spec).unpack_expert(name, options, packed["built"])
    expert.spec, expert.name, expert.cost = spec, spec.name or spec.address, spec.cost
    expert.shared_cost = spec.shared_cost or expert.shared_cost
    expert.needs = spec.needs or expert.needs
    expert.confidence = _unpack_confidence(spec, packed["confidence"])
    if isinstance(expert, ClassifierExpert) and "answer_in" in packed:
        expert.answer_in(list(packed["answer_in"]), list(packed["answer_in"].values()))
    if isinstance(expert, DetectorExpert):
        expert.remap = dict(packed["remap"])
        expert.allow_missing = packed["allow_missing"]
        expert.classes = packed.get("classes", expert.classes)
        expert.calibration = None if spec.calibration is None else calibration_from_dict(spec.calibration)
    return expert.eval()


def current_spec(expert: Expert) -> ExpertSpec:
    """How to build an expert as it is now, with its confidence, calibration and cost; weights aside.

    Raises:
        OrxeError: the expert was made by hand, or its confidence has no name.
    """
    if not isinstance(expert.spec, ExpertSpec):
        raise OrxeError(
            f"expert {expert.name!r} was made from a {type(expert.module).__name__} by hand, so that a file cannot say "
            "how to build it: build it with load_expert('adapter:NAME', ...) of an adapter"
        )
    confidence = expert.confidence
    if not hasattr(confidence, "kind"):
        raise OrxeError(
            f"the confidence of expert {expert.name!r} is a {type(confidence).__name__} without a name: "
            "decorate its class with register_confidence('NAME')"
        )
    known: dict[str, Any] = {**expert.spec.to_dict(), "name": expert.name, "confidence": confidence.to_dict()}
    if expert.cost is not None:
        known["cost"] = expert.cost
    if isinstance(expert, ClassifierExpert) and expert.columns is not None:
        answer_in = dict(zip(expert.names, expert.columns.tolist(), strict=True))
        known["options"] = {**expert.spec.options, "answer_in": answer_in}
    if isinstance(expert, DetectorExpert):
        known["calibration"] = None if expert.calibration is None else expert.calibration.to_dict()
    return ExpertSpec(**known)


def state_of(module: nn.Module) -> dict[str, Any]:
    """A module's state dict as plain values: ``tensors`` by name, on the CPU, and ``versions`` of its parts."""
    state = module.state_dict()
    versions = {path: part.get("version") for path, part in getattr(state, "_metadata", {}).items()}
    return {
        "tensors": {key: value.detach().cpu() for key, value in state.items()},
        "versions": {path: version for path, version in versions.items() if version is not None},
    }


def load_state(module: nn.Module, state: Mapping[str, Any], name: str) -> None:
    """Give a module the tensors of :func:`state_of` themselves, in their own precision; every name must fit.

    Raises:
        OrxeError: the tensors belong to another module.
    """
    tensors = OrderedDict(state["tensors"])
    # Modules look there for the version of their parameters' names, and rename those that have none.
    vars(tensors)["_metadata"] = {path: {"version": version} for path, version in state["versions"].items()}
    try:
        module.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        problem = " ".join(str(error).split())
        raise OrxeError(f"the saved weights of {name!r} do not fit the model that was built: {problem:.500}") from error


def plain(value: Any, where: str) -> Any:
    """A copy of ``value`` out of dicts, lists, tuples, numbers, texts, bytes and tensors alone.

    Args:
        value: the value; paths become texts, NumPy's numbers Python's.
        where: what the error says that the value belongs to.

    Raises:
        OrxeError: something of another type is inside.
    """
    if isinstance(value, Mapping):
        return {plain(key, where): plain(item, f"{where}, {key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(item, where) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if value is None or type(value) in (bool, int, float, str, bytes, Tensor):
        return value
    raise OrxeError(f"{where}: a {type(value).__name__} cannot be saved as plain data ({value!r:.100})")


def _adapter_of(spec: ExpertSpec) -> Any:
    name = parse_address(spec.address)[0]
    adapter = load_adapter(name)
    if not hasattr(adapter, "pack_expert"):
        raise OrxeError(
            f"expert {spec.address!r} cannot be saved in one file: adapter {name!r} offers no pack_expert; the folder "
            "that `orxe run` writes is for cascades of any experts"
        )
    return adapter


def _pack_confidence(confidence: ConfidenceProvider) -> dict[str, Any]:
    """The weights of a confidence; empty if it has none."""
    if isinstance(confidence, RankingGate):
        with TemporaryDirectory() as folder:
            save_gate(confidence.net, confidence.summary, Path(folder, _GATE_FILE))
            return {"gate": Path(folder, _GATE_FILE).read_bytes()}
    return {"state": state_of(confidence)} if confidence.state_dict() else {}


def _unpack_confidence(spec: ExpertSpec, packed: Mapping[str, Any]) -> ConfidenceProvider:
    options = dict(spec.confidence or {})
    if "gate" in packed:
        with TemporaryDirectory() as folder:
            Path(folder, _GATE_FILE).write_bytes(packed["gate"])
            gate = RankingGate(Path(folder, _GATE_FILE))
        gate.file = options["file"]  # where it came from, as messages and specs call it
        return gate
    confidence = confidence_from_dict(options)
    if "state" in packed:
        load_state(confidence, packed["state"], f"confidence of {spec.address}")
    return confidence
