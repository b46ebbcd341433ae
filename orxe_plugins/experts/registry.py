"""Adapters by entry point; an address such as ``timm:resnet18?input_size=224`` becomes an Expert."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import yaml

from orxe_plugins.confidence import confidence_from_dict
from orxe_plugins.detection.calibration import calibration_from_dict
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert

ADAPTER_GROUP = "orxe_plugins.adapters"
_ADDRESS = re.compile(r"(?P<adapter>[A-Za-z_][\w-]*):(?P<name>[^?]+)(\?(?P<query>.*))?", re.DOTALL)


class Adapter(Protocol):
    """What the module that an entry point names must offer."""

    def load_expert(self, name: str, **options: Any) -> Expert:
        """The expert called ``name`` in the adapter's framework, in evaluation mode.

        An adapter may also offer ``load_untrained`` with the same arguments: the same architecture with random
        weights, without a download and without the checkpoint, for `orxe check`. And it may offer
        ``pack_expert(expert)`` and ``unpack_expert(name, options, packed)``, by which experts are saved in one file
        with their weights (``orxe_plugins.experts.packing``).
        """


@dataclass(frozen=True)
class ExpertSpec:
    """How to build an expert again: what recipes list and what ``cascade.json`` keeps.

    Attributes:
        address: ``adapter:name?option=value&option=value``; option values are read as YAML.
        name: how tables call the expert; the address's name by default.
        checkpoint: a file of weights, or ``package:NAME`` for weights in an installed package, handed
            to the adapter; None takes the adapter's default.
        options: more options for the adapter's ``load_expert``, beside those in the address.
        confidence: kind and options of the confidence provider; None takes the task's default.
        calibration: kind and fitted numbers of a detector's score calibration
            (``orxe_plugins.detection.calibration``); None leaves its scores as they are.
        cost: cost per sample where it is known; None lets the expert count it.
        shared_cost, needs: see :class:`orxe_plugins.experts.expert.Expert`; the adapter may know them by itself.
    """

    address: str
    name: str | None = None
    checkpoint: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    confidence: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    cost: float | None = None
    shared_cost: float = 0.0
    needs: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without what is at its default."""
        values = {
            "address": self.address,
            "name": self.name,
            "checkpoint": self.checkpoint,
            "options": dict(self.options),
            "confidence": dict(self.confidence) if self.confidence else None,
            "calibration": dict(self.calibration) if self.calibration else None,
            "cost": self.cost,
            "shared_cost": self.shared_cost,
            "needs": self.needs,
        }
        return {key: value for key, value in values.items() if value not in (None, {}, 0.0)}


def parse_address(address: str) -> tuple[str, str, dict[str, Any]]:
    """Adapter, name and options of an expert's address.

    >>> parse_address("ultralytics:yolov8n.pt?imgsz=320")
    ('ultralytics', 'yolov8n.pt', {'imgsz': 320})
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise OrxeError(f"expert address {address!r}: expected adapter:name, such as timm:resnet18")
    options = {}
    for pair in filter(None, (match["query"] or "").split("&")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise OrxeError(f"expert address {address!r}: option {pair!r} has no value, expected {pair}=...")
        options[key] = yaml.safe_load(value)
    return match["adapter"], match["name"], options


def adapter_names() -> tuple[str, ...]:
    """Names of all installed adapters, whether or not their framework is."""
    return tuple(sorted({point.name for point in entry_points(group=ADAPTER_GROUP)}))


@cache
def load_adapter(name: str) -> Adapter:
    """The adapter called ``name``; its framework is imported now.

    Raises:
        OrxeError: no adapter has that name.
        ImportError: its framework is not installed; the last line says what to install.
    """
    points = {point.name: point for point in entry_points(group=ADAPTER_GROUP)}
    if name not in points:
        raise unknown("adapter", name, points)
    return cast(Adapter, points[name].load())


def load_expert(expert: str | ExpertSpec, default_adapter: str | None = None) -> Expert:
    """Build an expert.

    Args:
        expert: an address, or a spec with one.
        default_adapter: the adapter of an address without ``adapter:``.

    Returns:
        The expert in evaluation mode, with its ``spec`` set.
    """
    spec = ExpertSpec(expert) if isinstance(expert, str) else expert
    if default_adapter and not _has_adapter(spec.address):
        spec = replace(spec, address=f"{default_adapter}:{spec.address}")
    adapter, name, options = parse_address(spec.address)
    options = {**options, **spec.options}
    if spec.checkpoint is not None:
        # An adapter may know more places than files, such as package:NAME.
        if ":" not in spec.checkpoint and not Path(spec.checkpoint).exists():
            raise OrxeError(f"checkpoint {spec.checkpoint!r} of expert {spec.address!r} does not exist")
        options["checkpoint"] = spec.checkpoint
    built = load_adapter(adapter).load_expert(name, **options)
    built.spec = spec
    built.name = spec.name or spec.address
    if spec.confidence is not None:
        built.confidence = confidence_from_dict(dict(spec.confidence))
    if spec.calibration is not None:
        if not isinstance(built, DetectorExpert):
            raise OrxeError(f"expert {spec.address!r} has a score calibration, but it is no detector")
        built.calibration = calibration_from_dict(spec.calibration)
    if spec.cost is not None:
        built.cost = spec.cost
    built.shared_cost = spec.shared_cost or built.shared_cost
    built.needs = spec.needs or built.needs
    return built.eval()


def load_experts(experts: Sequence[str | ExpertSpec | Expert], default_adapter: str | None = None) -> list[Expert]:
    """Build the experts of one cascade. What several of them hold alike, such as exits' backbone, is in memory once.

    Args:
        experts: see :func:`load_expert`; experts that are built already stay as they are.
        default_adapter: the adapter of an address without ``adapter:``.
    """
    beside = [expert for expert in experts if isinstance(expert, Expert)]
    members = []
    for expert in experts:
        if not isinstance(expert, Expert):
            expert = load_expert(expert, default_adapter)
            expert.share_with(beside)
            beside.append(expert)
        members.append(expert)
    return members


def load_untrained(spec: ExpertSpec) -> Expert:
    """An expert's architecture with random weights; nothing is downloaded and no checkpoint is read.

    Raises:
        OrxeError: the expert is unknown, an option does not fit, or its adapter cannot do without weights.
    """
    adapter, name, options = parse_address(spec.address)
    loaded = load_adapter(adapter)
    if not hasattr(loaded, "load_untrained"):
        raise OrxeError(f"adapter {adapter!r} builds no expert without its weights")
    built: Expert = loaded.load_untrained(name, **{**options, **spec.options})
    built.name = spec.name or spec.address
    if spec.confidence is not None:
        built.confidence = confidence_from_dict(dict(spec.confidence))
    if spec.cost is not None:
        built.cost = spec.cost
    return built.eval()


def _has_adapter(address: str) -> bool:
    match = _ADDRESS.fullmatch(address)
    # timm's own names may begin with a source, as in hf-hub:timm/resnet18.
    return match is not None and match["adapter"] in adapter_names()


def import_framework(module: str, extra: str) -> ModuleType:
    """Import a framework for its adapter, or say how to install it.

    Args:
        module: the framework's module, such as ``timm``.
        extra: the extra of this project that installs it.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise ImportError(
            f"the {extra} adapter needs {module}, which is not installed. Install it with\n"
            f'pip install "orxe-plugins[{extra}]"'
        ) from error
