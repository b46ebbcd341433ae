"""Cascades in timm's own folders: what ``save_for_hf`` keeps, and what ``local-dir:`` and ``hf-hub:`` read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timm.models import get_pretrained_cfg, load_pretrained

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.registry import load_experts
from orxe_plugins.experts.risks import remember_specs
from orxe_plugins.experts.spec import ExpertSpec, adapter_in, parse_address
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.util.trust import Origin

if TYPE_CHECKING:
    from orxe_timm.cascade_classifier import CascadeClassifier

#: keys of a configuration that say where weights are
_SOURCES = ("file", "url", "hf_hub_id", "state_dict")
#: and what may stand beside them
_BESIDE_SOURCES = ("hf_hub_filename", "source", "custom_load", "architecture", "tag")


def described(cascade: Cascade, head: Mapping[str, Any]) -> dict[str, Any] | None:
    """A cascade as plain JSON values, its experts' weights aside; None if an expert was built by hand.

    Args:
        cascade: a cascade of classifiers.
        head: options of timm's experts that were changed since they were built, such as num_classes.
    """
    specs = [expert.spec for expert in cascade.members]
    if not all(isinstance(spec, ExpertSpec) for spec in specs):
        return None
    remember_specs(spec for spec in specs if isinstance(spec, ExpertSpec))
    table, view, policy = cascade.table, cascade.input_view, cascade.policy
    return {
        "experts": [_without_weights(spec, head).to_dict() for spec in specs],
        "exit_thresholds": list(policy.exit_thresholds),
        "skip_thresholds": list(policy.skip_thresholds),
        "table": None if table is None else table.to_dict(),
        "input_view": None if view is None else view.to_dict(),
    }


def cascade_from(
    description: Mapping[str, Any],
    options: Mapping[str, Any],
    preference: float | None,
    thresholds: Policy | None,
    origin: Origin | None = None,
) -> Cascade:
    """The cascade that :func:`described` described, before its weights are loaded.

    Args:
        description: what :func:`described` gave.
        options: options of timm's experts that go before those described.
        preference, thresholds: the policy to start with; None for both takes the one described.
        origin: the file of others that the description came from; None for one that is trusted.

    Raises:
        OrxeError: the description is not one of a cascade, or an expert cannot be built.
    """
    try:
        described = [ExpertSpec.from_dict(spec) for spec in description["experts"]]
        specs = [_with(replace(spec, origin=origin), options) for spec in described]
        policy = Policy(tuple(description["exit_thresholds"]), tuple(description["skip_thresholds"]))
        table = description["table"] and PolicyTable.from_dict(description["table"])
        view = description["input_view"] and ImageView.from_dict(description["input_view"])
    except (KeyError, TypeError) as error:
        raise OrxeError(f"cascade is {description!r}: expected what save_for_hf wrote ({error!r} is amiss)") from error
    experts = load_experts(specs, "timm")
    if view and isinstance(experts[0], ClassifierExpert) and view.channels != experts[0].view.channels:
        view = None
    if preference is not None:
        return Cascade(experts, None, table, preference, view)
    return Cascade(experts, thresholds or policy, table, input_view=view)


def weights_in(config: Any, overlay: Any, name: str) -> dict[str, Any] | None:
    """The configuration with which timm finds a whole cascade's weights; None if it names no place of any.

    Args:
        config, overlay: timm's ``pretrained_cfg`` and ``pretrained_cfg_overlay``.
        name: the model's registered name.

    Raises:
        OrxeError: they say something else than where weights are, which would be passed over.
    """
    if isinstance(config, str):
        raise OrxeError(f"{name} has no pretrained tag {config!r}: name tags of its experts, as in resnet18.a1_in1k")
    # timm's scripts hand over what is registered under the name.
    registered = _plain(get_pretrained_cfg(name))
    given = {key: value for key, value in {**_plain(config), **_plain(overlay)}.items() if registered.get(key) != value}
    has_weights = any(given.get(key) for key in _SOURCES)
    # A folder's configuration says much beside, which its model arguments say too.
    other = {} if given.get("source") in ("local-dir", "hf-hub") else {**given}
    for key in (*_SOURCES, *_BESIDE_SOURCES):
        other.pop(key, None)
    if other or (given and not has_weights):
        raise OrxeError(
            f"pretrained_cfg of {name} says {other or given}, but it can only say where the weights of a whole cascade "
            "are (file or url): views and weights are the experts' own, give expert_kwargs=[{...}, ...] or checkpoints"
        )
    return given if has_weights else None


def folder_of(config: Any) -> Origin | None:
    """The folder or the repository of a hub that timm takes a model's arguments from; None if the caller gave them."""
    given = _plain(config) if not isinstance(config, str) else {}
    source = given.get("source")
    if source == "local-dir":
        return Origin(str(given["file"]), Path(given["file"]))
    return Origin(f"hf-hub:{given.get('hf_hub_id')}") if source == "hf-hub" else None


def load_weights(model: CascadeClassifier, config: Mapping[str, Any]) -> None:
    """Load a whole cascade's weights as timm loads those of its own models, stems and heads adapted.

    Raises:
        OrxeError: they are not those of this cascade.
    """
    layers = {key: model.pretrained_cfg[key] for key in ("first_conv", "classifier")}
    # Where nothing is said of the images that the weights were trained on, they had three channels, as ever in timm.
    images = (3, *model.pretrained_cfg["input_size"][1:])
    config = {"num_classes": model.num_classes, "input_size": images, **config, **layers}
    try:
        load_pretrained(model, config, num_classes=model.num_classes, in_chans=model.in_chans)
    except RuntimeError as error:
        raise OrxeError(
            f"the weights of {config.get('file') or config.get('hf_hub_id') or config.get('url')!r} are not those of a "
            f"cascade of {', '.join(expert.name for expert in model.members)}: {error}"
        ) from error


def _plain(config: Any) -> dict[str, Any]:
    """A configuration, a dict or timm's dataclass, without what is not set."""
    values = asdict(config) if is_dataclass(config) and not isinstance(config, type) else config or {}
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if value is not None
    }


def _is_plain_timm(spec: ExpertSpec) -> bool:
    """Whether all of the expert's weights are in the state dict and nowhere else; exits check those of their base."""
    adapter, _, in_address = parse_address(_full(spec))
    return adapter == "timm" and not {"exit", "builder"} & {*in_address, *spec.options}


def _full(spec: ExpertSpec) -> str:
    return spec.address if adapter_in(spec.address) else f"timm:{spec.address}"


def _without_weights(spec: ExpertSpec, head: Mapping[str, Any]) -> ExpertSpec:
    if not _is_plain_timm(spec):
        return spec
    return replace(spec, checkpoint=None, fingerprint=None, options={**spec.options, **head, "pretrained": False})


def _with(spec: ExpertSpec, options: Mapping[str, Any]) -> ExpertSpec:
    return replace(spec, options={**spec.options, **options}) if _is_plain_timm(spec) else spec
