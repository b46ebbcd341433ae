"""From what a user writes to a Cascade: the part that the models of all frameworks need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import read_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_space import ANY_SPACE, LabelSpace
from orxe_plugins.experts.registry import adapter_names, load_experts
from orxe_plugins.experts.spec import ExpertSpec, adapter_in, parse_address
from orxe_plugins.policies.policy import Policy
from orxe_plugins.util.trust import Origin, Risk, check_trusted

#: an address such as "timm:resnet18", the fields of a spec, a spec, or an expert that is built already
ExpertLike: TypeAlias = str | Mapping[str, Any] | ExpertSpec | Expert
#: a folder that `orxe run` wrote, or a cascade that is built already
CascadeLike: TypeAlias = str | Path | Cascade


@dataclass(frozen=True)
class CascadeArguments:
    """The arguments that the cascade models of all frameworks have in common, beside the experts themselves.

    Attributes:
        checkpoints: a file of weights for each of ``experts``; None leaves an expert's own.
        expert_kwargs: options for each of ``experts``; they go before all others.
        exit_thresholds: one for each expert but the last, None in it is "never"; the whole None
            takes them from ``preference``.
        skip_thresholds: likewise; by default no expert is skipped.
        preference: where a cascade without thresholds starts: 0 = only cost counts, 1 = only
            performance counts; 0.5 by default.
        names: label names of the answers of detectors; by default those of the first expert that
            has no remap.
        remap: what labels of some detector are called among ``names``; None drops a label.
        classes: what happens to labels that only some experts, or only ``names``, have: "same" makes them an error;
            "data" drops those that are not among ``names`` (by default the labels of the expert with the fewest);
            "intersect" keeps only those that all experts know. By default as each expert's own option says.
        for_all: options for every expert of ``experts`` that is not built yet, of whatever adapter;
            what the expert's own options say goes first.
        trust: with ``cascade=FOLDER``: the caller trusts what building its experts runs and fetches.
        trust_changed: with ``cascade=FOLDER``: go on with weights that are not those which were recorded.
        origin: the file of others that all these arguments came from; None for what the caller gave.
        common: options for every expert of ``experts`` that is one of the model's own adapter; what the
            expert's own options say goes first.
    """

    checkpoints: Sequence[str | Path | None] | None = None
    expert_kwargs: Sequence[Mapping[str, Any] | None] | None = None
    exit_thresholds: Sequence[float | None] | None = None
    skip_thresholds: Sequence[float] | None = None
    preference: float | None = None
    names: Sequence[str] | None = None
    remap: Mapping[str, str | None] | None = None
    classes: str | None = None
    for_all: Mapping[str, Any] | None = None
    trust: bool = False
    trust_changed: bool = False
    origin: Origin | None = None
    common: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_keywords(cls, given: Mapping[str, Any]) -> CascadeArguments:
        """The arguments out of keywords; those that are no field here are ``common`` options."""
        own = {one.name for one in fields(cls)} - {"common"}
        if not isinstance(given.get("classes"), (str, type(None))):
            own.discard("classes")  # an adapter's experts may have an option of that name: their label names
        common = {key: value for key, value in given.items() if key not in own}
        return cls(**{key: value for key, value in given.items() if key in own}, common=common)

    @property
    def named_by(self) -> Origin | None:
        """The file that named the experts, where the caller does not trust it."""
        return None if self.trust else self.origin

    def policy(self) -> Policy | None:
        """The thresholds; None where they are to be taken from a preference.

        Raises:
            OrxeError: thresholds contradict the preference, or are no list of numbers in [0, 1].
        """
        if self.exit_thresholds is None:
            if self.skip_thresholds is not None:
                raise OrxeError("skip_thresholds are given without exit_thresholds: give both, or a preference")
            return None
        if self.preference is not None:
            raise OrxeError(
                f"exit_thresholds and preference={self.preference!r} contradict each other: give one of them"
            )
        for name in ("exit_thresholds", "skip_thresholds"):
            given = getattr(self, name)
            if isinstance(given, (str, bytes)) or not isinstance(given, (Sequence, type(None))):
                raise OrxeError(f"{name} is {given!r}: expected a list with one number for each expert but the last")
        return Policy(tuple(self.exit_thresholds), tuple(self.skip_thresholds or ()))

    def space(self, settled: LabelSpace = ANY_SPACE) -> LabelSpace:
        """The labels asked for; those that a cascade's file has settled, where nothing is asked."""
        if self.names is None and not self.remap and self.classes is None:
            return settled
        names = settled.names if self.names is None else self.names
        return LabelSpace(names, self.remap or {}, self.classes)

    def check_no_expert_options(self) -> None:
        """Raise if options of experts are given, as a cascade that exists has its experts already."""
        given = {name: getattr(self, name) for name in ("checkpoints", "expert_kwargs", "for_all")} | {**self.common}
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise OrxeError(
                f"{', '.join(extra)} cannot be given with cascade=: a cascade brings its experts with their options"
            )


def label_arguments(classes: Sequence[str] | str | None, names: Sequence[str] | None = None) -> dict[str, Any]:
    """``names`` and ``classes`` of :class:`CascadeArguments`, where a framework calls the label names ``classes``.

    Args:
        classes: label names, or what happens to labels that not all know.
        names: label names, where ``classes`` is not these.

    Raises:
        OrxeError: both are label names.
    """
    if classes is None or isinstance(classes, str):
        return {"names": names, "classes": classes}
    if names is not None:
        raise OrxeError(f"classes={list(classes)!r:.100} and names={list(names)!r:.100} are both label names: give one")
    return {"names": classes, "classes": None}


def build_cascade(
    experts: Sequence[ExpertLike] | None = None,
    cascade: CascadeLike | None = None,
    *,
    adapter: str,
    task: str | None = None,
    **arguments: Any,
) -> Cascade:
    """The cascade that the arguments of a framework's model describe.

    Args:
        experts: N experts, cheapest first. An address without ``adapter:`` is one of ``adapter``.
        cascade: instead of ``experts``: a folder that `orxe run` wrote, or a cascade, which is
            changed in place.
        adapter: the adapter of the model's own framework.
        task: "classification" or "detection", where the model can do only one.
        **arguments: any of ``checkpoints``, ``expert_kwargs``, ``exit_thresholds``, ``skip_thresholds``,
            ``preference``, ``names``, ``remap``, ``classes``, ``for_all``, ``trust``, ``trust_changed``, as the models
            of the frameworks take them; all others are options for every expert of ``experts`` that is one of
            ``adapter``.

    Raises:
        OrxeError: arguments contradict each other or differ in length, an expert is unknown, its task is
            another one, labels or classes do not fit, or thresholds are not in [0, 1].
    """
    if (experts is None) == (cascade is None):
        raise OrxeError("a cascade is built from either experts=[...] or cascade=FOLDER: give one of them")
    given = CascadeArguments.from_keywords(arguments)
    policy = given.policy()
    if isinstance(cascade, Cascade):
        return _changed(cascade, given, policy, task)
    table, view, settled = None, None, ANY_SPACE
    if cascade is not None:
        given.check_no_expert_options()
        if given.named_by is not None:
            what = f"reads the cascade {str(cascade)!r}"
            check_trusted([Risk.of_text(what, str(Path(cascade).resolve()))], given.named_by)
        file = read_cascade(cascade, trust=given.trust, trust_changed=given.trust_changed)
        if task not in (None, file.task):
            raise OrxeError(f"the cascade at {str(cascade)!r} is for {file.task}: expected {task}")
        specs: Sequence[ExpertSpec | Expert] = file.specs
        table, view, settled = file.table, file.input_view, file.space
    else:
        specs = _specs(experts or (), adapter, given)
    members = load_experts(specs)
    _check_task(members, task)
    preference = 0.5 if given.preference is None else given.preference
    return Cascade(members, policy, table, preference, view, given.space(settled))


def _changed(cascade: Cascade, given: CascadeArguments, policy: Policy | None, task: str | None) -> Cascade:
    """A cascade that exists, with the thresholds and labels asked for."""
    given.check_no_expert_options()
    _check_task(cascade.members, task)
    if given.names is not None or given.remap or given.classes is not None:
        cascade.answer_in(given.names, given.remap, given.classes)
    if policy is not None:
        cascade.policy = policy
    elif given.preference is not None:
        cascade.set_preference(given.preference)
    return cascade


def _specs(experts: Sequence[ExpertLike], adapter: str, given: CascadeArguments) -> list[ExpertSpec | Expert]:
    """One spec per expert with all that is given for it; built experts stay as they are."""
    if isinstance(experts, (str, bytes)) or not isinstance(experts, Sequence) or not experts:
        raise OrxeError(f"experts is {experts!r}: expected a list with at least one expert, such as ['{adapter}:NAME']")
    files = _one_each("checkpoints", given.checkpoints, len(experts))
    options = _one_each("expert_kwargs", given.expert_kwargs, len(experts))
    specs: list[ExpertSpec | Expert] = []
    for expert, file, own in zip(experts, files, options, strict=True):
        if isinstance(expert, Expert):
            if file is not None or own:
                raise OrxeError(f"expert {expert.name!r} is built already: it takes no checkpoint and no options")
            specs.append(expert)
        else:
            specs.append(_with_options(_as_spec(expert, adapter), file, own, adapter, given))
    return specs


def _one_each(name: str, values: Sequence[Any] | None, n_experts: int) -> Sequence[Any]:
    if values is None:
        return [None] * n_experts
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or len(values) != n_experts:
        raise OrxeError(f"{name} is {values!r} for {n_experts} experts: expected a list with one element for each")
    return values


def _as_spec(expert: str | Mapping[str, Any] | ExpertSpec, adapter: str) -> ExpertSpec:
    if isinstance(expert, str):
        return ExpertSpec(expert)
    if isinstance(expert, Mapping):
        # A framework's own mappings, such as mmengine's ConfigDict, know how to become plain ones.
        return ExpertSpec.from_dict(expert.to_dict() if hasattr(expert, "to_dict") else expert)
    if not isinstance(expert, ExpertSpec):
        raise OrxeError(f"an expert is a {type(expert).__name__}: expected an address such as '{adapter}:NAME'")
    return expert


def _with_options(
    spec: ExpertSpec, checkpoint: str | Path | None, options: Any, adapter: str, given: CascadeArguments
) -> ExpertSpec:
    """The spec with the options that are given for it alone, for its adapter and for all experts."""
    if not isinstance(options, (Mapping, type(None))):
        raise OrxeError(f"expert_kwargs of expert {spec.address!r} is {options!r}: expected a mapping of options")
    # Some names hold a colon themselves, as hf-hub:timm/resnet18 does.
    has_adapter = adapter_in(spec.address) in adapter_names()
    address = spec.address if has_adapter else f"{adapter}:{spec.address}"
    own_adapter, _, in_address = parse_address(address)
    shared = {**(given.for_all or {}), **(given.common if own_adapter == adapter else {})}
    merged = {
        **{key: value for key, value in shared.items() if key not in in_address},
        **spec.options,
        **(options or {}),
    }
    file = spec.checkpoint if checkpoint is None else str(checkpoint)
    origin = spec.origin if given.named_by is None else given.named_by
    return replace(spec, address=address, checkpoint=file, options=merged, origin=origin)


def _check_task(members: Sequence[Expert], task: str | None) -> None:
    for expert in members:
        kind = type(expert).__name__
        if task == "detection" and not isinstance(expert, DetectorExpert):
            raise OrxeError(f"expert {expert.name!r} is no detector but a {kind}")
        if task == "classification" and isinstance(expert, DetectorExpert):
            raise OrxeError(f"expert {expert.name!r} is no classifier but a {kind}")
