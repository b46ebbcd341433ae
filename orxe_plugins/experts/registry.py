"""Adapters by name; an address such as ``timm:resnet18?input_size=224`` becomes an Expert."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orxe_plugins.confidence.provider import confidence_from_dict
from orxe_plugins.data.views import ImageView
from orxe_plugins.detection.calibration import calibration_from_dict
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.adapters import (
    ADAPTER_GROUP,
    Adapter,
    adapter_names,
    adapters,
    import_framework,
    load_adapter,
    register_adapter,
)
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.fingerprint import expert_weights
from orxe_plugins.experts.label_space import LABEL_OPTIONS, check_classes
from orxe_plugins.experts.risks import check_specs
from orxe_plugins.experts.spec import ExpertSpec, adapter_in, parse_address

__all__ = [
    "ADAPTER_GROUP",
    "LABEL_OPTIONS",
    "Adapter",
    "ExpertSpec",
    "adapter_in",
    "adapter_names",
    "adapters",
    "import_framework",
    "load_adapter",
    "load_expert",
    "load_experts",
    "load_untrained",
    "parse_address",
    "register_adapter",
    "view_of",
    "with_labels",
    "without_label_options",
]


def load_expert(expert: str | ExpertSpec, default_adapter: str | None = None) -> Expert:
    """Build an expert.

    Args:
        expert: an address, or a spec with one.
        default_adapter: the adapter of an address without ``adapter:``.

    Returns:
        The expert in evaluation mode, with its ``spec`` set.

    Raises:
        OrxeError: the adapter, the expert or its checkpoint does not exist, an option does not fit, or the spec came
            from a file that is not trusted.
        ImportError: the adapter's framework is not installed.
    """
    spec = ExpertSpec(expert) if isinstance(expert, str) else expert
    spec = _with_adapter(spec, default_adapter)
    adapter, name, options = _call_of(spec)
    if spec.checkpoint is not None:
        # An adapter may know more places than files, such as package:NAME.
        if ":" not in spec.checkpoint and not Path(spec.checkpoint).exists():
            raise OrxeError(f"checkpoint {spec.checkpoint!r} of expert {spec.address!r} does not exist")
        options["checkpoint"] = spec.checkpoint
    built = load_adapter(adapter).load_expert(name, **options)
    built.spec = spec
    if spec.calibration is not None:
        if not isinstance(built, DetectorExpert):
            raise OrxeError(f"expert {spec.address!r} has a score calibration, but it is no detector")
        built.calibration = calibration_from_dict(spec.calibration)
    built.shared_cost = spec.shared_cost or built.shared_cost
    built.needs = spec.needs or built.needs
    built = _as_specified(built, spec)
    if spec.fingerprint is not None and expert_weights(built) != spec.fingerprint:
        raise OrxeError(
            f"expert {built.name!r} has other weights than when it was recorded or saved, and the thresholds are "
            "not made for them: record and search again, or go on by --trust-changed (trust_changed=True in a call)"
        )
    return built


def load_experts(
    experts: Sequence[str | ExpertSpec | Expert],
    default_adapter: str | None = None,
    instead: Callable[[str | ExpertSpec, Exception], Expert] | None = None,
) -> list[Expert]:
    """Build the experts of one cascade. What several of them hold alike, such as exits' backbone, is in memory once.

    Args:
        experts: see :func:`load_expert`; experts that are built already stay as they are.
        default_adapter: the adapter of an address without ``adapter:``.
        instead: gives what takes the place of an expert that cannot be loaded; None raises its error.
    """
    # All that is not trusted is said at once, before anything is built.
    check_specs(_with_adapter(expert, default_adapter) for expert in experts if isinstance(expert, ExpertSpec))
    beside = [expert for expert in experts if isinstance(expert, Expert)]
    members = []
    for expert in experts:
        if not isinstance(expert, Expert):
            try:
                expert = load_expert(expert, default_adapter)
                expert.share_with(beside)
            except Exception as error:
                if instead is None:
                    raise
                expert = instead(expert, error)  # type: ignore[arg-type]
            beside.append(expert)
        members.append(expert)
    return members


def load_untrained(spec: ExpertSpec) -> Expert:
    """An expert's architecture with random weights; nothing is downloaded and no checkpoint is read.

    Raises:
        OrxeError: the expert is unknown, an option does not fit, or its adapter cannot do without weights.
    """
    adapter, name, options = _call_of(spec)
    loaded = load_adapter(adapter)
    if not hasattr(loaded, "load_untrained"):
        raise OrxeError(f"adapter {adapter!r} builds no expert without its weights")
    return _as_specified(loaded.load_untrained(name, **options), spec)


def view_of(spec: ExpertSpec) -> ImageView | None:
    """The view of a classifier, None for another expert; its weights are read only if its adapter has no other way.

    Raises:
        OrxeError: the expert is unknown, or an option does not fit.
    """
    adapter, name, options = _call_of(spec)
    loaded = load_adapter(adapter)
    if hasattr(loaded, "view_of"):
        view: ImageView | None = loaded.view_of(name, **options)
        return view
    expert = load_expert(spec)
    return expert.view if isinstance(expert, ClassifierExpert) else None


def _with_adapter(spec: ExpertSpec, default_adapter: str | None) -> ExpertSpec:
    # timm's own names may begin with a source, as in hf-hub:timm/resnet18.
    if default_adapter and adapter_in(spec.address) not in adapter_names():
        return replace(spec, address=f"{default_adapter}:{spec.address}")
    return spec


def _call_of(spec: ExpertSpec) -> tuple[str, str, dict[str, Any]]:
    """Adapter, name and options of its own that a spec asks for, the checkpoint aside; if all that is trusted."""
    check_specs([spec])
    adapter, name, in_address = parse_address(spec.address)
    return adapter, name, without_label_options({**in_address, **spec.options})


def without_label_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are the adapter's own; ``classes`` is one where it is no word but label names."""
    return {
        key: value
        for key, value in options.items()
        if key not in LABEL_OPTIONS or (key == "classes" and not isinstance(value, str))
    }


def with_labels(built: Expert, spec: ExpertSpec) -> None:
    """Give an expert the options of its spec that experts of all adapters have.

    These are ``classes`` (see :data:`~orxe_plugins.experts.label_space.CLASSES`); of a detector ``remap``; of a
    classifier ``answer_in``, a mapping of names to the classes of the model that it answers in.

    Raises:
        OrxeError: the expert is no detector, or a value does not fit.
    """
    options = {**parse_address(spec.address)[2], **spec.options}
    own = without_label_options(options)
    given = {key: options[key] for key in LABEL_OPTIONS if key not in own and options.get(key) is not None}
    if "classes" in given:
        check_classes(given["classes"])
    if isinstance(built, ClassifierExpert):
        built.classes = given.get("classes", built.classes)
        if "answer_in" in given:
            built.answer_in(list(given["answer_in"]), list(given["answer_in"].values()))
    if not isinstance(built, DetectorExpert):
        if "remap" in given:
            raise OrxeError(f"expert {spec.address!r} has a remap of labels, but it is no detector")
        return
    built.classes = given.get("classes", built.classes)
    if "remap" in given:
        if not isinstance(given["remap"], Mapping):
            raise OrxeError(
                f"remap of expert {spec.address!r} is {given['remap']!r}: expected labels and what they are called"
            )
        built.remap = {str(old): new for old, new in given["remap"].items()}


def _as_specified(built: Expert, spec: ExpertSpec) -> Expert:
    """The expert with its spec's name, confidence and cost, in evaluation mode."""
    built.name = spec.name or spec.address
    if spec.confidence is not None:
        built.confidence = confidence_from_dict(dict(spec.confidence))
    if spec.cost is not None:
        built.cost = spec.cost
    with_labels(built, spec)
    return built.eval()
