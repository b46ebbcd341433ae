"""From what a user writes to a Cascade: the part that every framework's front needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import read_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import ExpertSpec, adapter_names, load_experts, parse_address
from orxe_plugins.policies.policy import Policy

#: an address such as "timm:resnet18", the fields of a spec, a spec, or an expert that is built already
ExpertLike: TypeAlias = str | Mapping[str, Any] | ExpertSpec | Expert
CascadeLike: TypeAlias = str | Path | Cascade


def build_cascade(
    experts: Sequence[ExpertLike] | None = None,
    cascade: CascadeLike | None = None,
    *,
    adapter: str,
    checkpoints: Sequence[str | Path | None] | None = None,
    expert_kwargs: Sequence[Mapping[str, Any] | None] | None = None,
    exit_thresholds: Sequence[float | None] | None = None,
    skip_thresholds: Sequence[float] | None = None,
    preference: float | None = None,
    task: str | None = None,
    names: Sequence[str] | None = None,
    remap: Mapping[str, str | None] | None = None,
    for_all: Mapping[str, Any] | None = None,
    **common: Any,
) -> Cascade:
    """The cascade that a front's arguments describe.

    Args:
        experts: N experts, cheapest first. An address without ``adapter:`` is one of ``adapter``.
        cascade: instead of ``experts``: a folder that `orxe run` wrote, or a cascade, which is
            changed in place.
        adapter: the front's own adapter.
        checkpoints: a file of weights for each of ``experts``; None leaves an expert's own.
        expert_kwargs: options for each of ``experts``; they go before all others.
        exit_thresholds: one for each expert but the last, None in it is "never"; the whole None
            takes them from ``preference``.
        skip_thresholds: likewise; skips nobody by default.
        preference: where a cascade without thresholds starts: 0 = only cost counts, 1 = only
            performance counts; 0.5 by default.
        task: "classification" or "detection", where the front can do but one.
        names: label names of the answers of detectors; by default those of the first expert that
            has no remap.
        remap: what labels of some detector are called among ``names``; None drops a label.
        for_all: options for every expert of ``experts`` that is not built yet, of whatever adapter;
            what the expert's own options say goes first.
        **common: options for every expert of ``experts`` that is one of ``adapter``; what the
            expert's own options say goes first.

    Raises:
        OrxeError: arguments contradict each other or differ in length, an expert is unknown, its task is
            another one, labels or classes do not fit, or thresholds are not in [0, 1].
    """
    if (experts is None) == (cascade is None):
        raise OrxeError("a cascade is built from either experts=[...] or cascade=FOLDER: give one of them")
    policy = _policy(exit_thresholds, skip_thresholds, preference)
    if isinstance(cascade, Cascade):
        _nothing_else(checkpoints=checkpoints, expert_kwargs=expert_kwargs, for_all=for_all, **common)
        _check_task(cascade.members, task)
        if names is not None or remap:
            cascade.answer_in(names, remap)
        if policy is not None:
            cascade.policy = policy
        elif preference is not None:
            cascade.set_preference(preference)
        return cascade
    table, view = None, None
    if cascade is not None:
        _nothing_else(checkpoints=checkpoints, expert_kwargs=expert_kwargs, for_all=for_all, **common)
        file = read_cascade(cascade)
        if task not in (None, file.task):
            raise OrxeError(f"the cascade at {str(cascade)!r} is for {file.task}: expected {task}")
        specs: Sequence[ExpertSpec | Expert] = file.specs
        table, view = file.table, file.input_view
    else:
        specs = _with_options(experts or (), adapter, checkpoints, expert_kwargs, for_all or {}, common)
    members = load_experts(specs)
    _check_task(members, task)
    return Cascade(members, policy, table, 0.5 if preference is None else preference, view, names, remap)


def _policy(
    exits: Sequence[float | None] | None, skips: Sequence[float] | None, preference: float | None
) -> Policy | None:
    if exits is None:
        if skips is not None:
            raise OrxeError("skip_thresholds are given without exit_thresholds: give both, or a preference")
        return None
    if preference is not None:
        raise OrxeError(f"exit_thresholds and preference={preference!r} contradict each other: give one of them")
    for name, given in (("exit_thresholds", exits), ("skip_thresholds", skips)):
        if isinstance(given, (str, bytes)) or not isinstance(given, (Sequence, type(None))):
            raise OrxeError(f"{name} is {given!r}: expected a list with one number for each expert but the last")
    return Policy(tuple(exits), tuple(skips or ()))


def _nothing_else(**given: Any) -> None:
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise OrxeError(f"{', '.join(extra)} cannot be given with cascade=: it says by itself what its experts are")


def _with_options(
    experts: Sequence[ExpertLike],
    adapter: str,
    checkpoints: Sequence[str | Path | None] | None,
    expert_kwargs: Sequence[Mapping[str, Any] | None] | None,
    for_all: Mapping[str, Any],
    common: Mapping[str, Any],
) -> list[ExpertSpec | Expert]:
    """One spec per expert that says all that is known of it; built experts stay as they are."""
    if isinstance(experts, (str, bytes)) or not isinstance(experts, Sequence) or not experts:
        raise OrxeError(f"experts is {experts!r}: expected a list with at least one expert, such as ['{adapter}:NAME']")
    files = _one_each("checkpoints", checkpoints, len(experts))
    options = _one_each("expert_kwargs", expert_kwargs, len(experts))
    return [_spec(*row, adapter, for_all, common) for row in zip(experts, files, options, strict=True)]


def _one_each(name: str, values: Sequence[Any] | None, n_experts: int) -> Sequence[Any]:
    if values is None:
        return [None] * n_experts
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or len(values) != n_experts:
        raise OrxeError(f"{name} is {values!r} for {n_experts} experts: expected a list with one element for each")
    return values


def _spec(
    expert: ExpertLike,
    checkpoint: str | Path | None,
    options: Any,
    adapter: str,
    for_all: Mapping[str, Any],
    common: Mapping[str, Any],
) -> ExpertSpec | Expert:
    if isinstance(expert, Expert):
        if checkpoint is not None or options:
            raise OrxeError(f"expert {expert.name!r} is built already: it takes no checkpoint and no options")
        return expert
    if isinstance(expert, str):
        expert = ExpertSpec(expert)
    elif isinstance(expert, Mapping):
        expert = _from_fields(expert)
    elif not isinstance(expert, ExpertSpec):
        raise OrxeError(f"an expert is a {type(expert).__name__}: expected an address such as '{adapter}:NAME'")
    if not isinstance(options, (Mapping, type(None))):
        raise OrxeError(f"expert_kwargs of expert {expert.address!r} is {options!r}: expected a mapping of options")
    # Some names hold a colon themselves, as hf-hub:timm/resnet18 does.
    foreign = expert.address.partition(":")[0] in adapter_names()
    address = expert.address if foreign else f"{adapter}:{expert.address}"
    own_adapter, _, in_address = parse_address(address)
    shared = {**for_all, **common} if own_adapter == adapter else for_all
    merged = {
        **{key: value for key, value in shared.items() if key not in in_address},
        **expert.options,
        **(options or {}),
    }
    file = expert.checkpoint if checkpoint is None else str(checkpoint)
    return replace(expert, address=address, checkpoint=file, options=merged)


def _from_fields(fields: Mapping[str, Any]) -> ExpertSpec:
    # A framework's own mappings, such as mmengine's ConfigDict, know how to become plain ones.
    plain = fields.to_dict() if hasattr(fields, "to_dict") else dict(fields)
    try:
        return ExpertSpec(**plain)
    except TypeError as error:
        known = ", ".join(ExpertSpec.__dataclass_fields__)
        raise OrxeError(f"expert {plain}: {error}; its fields are {known}") from error


def _check_task(members: Sequence[Expert], task: str | None) -> None:
    for expert in members:
        kind = type(expert).__name__
        if task == "detection" and not isinstance(expert, DetectorExpert):
            raise OrxeError(f"expert {expert.name!r} is no detector but a {kind}")
        if task == "classification" and isinstance(expert, DetectorExpert):
            raise OrxeError(f"expert {expert.name!r} is no classifier but a {kind}")
