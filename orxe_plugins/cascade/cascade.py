"""Cascade: experts and thresholds as one model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn

from orxe_plugins.cascade.entrances import Entrances, Guard
from orxe_plugins.cascade.setup import setup_of
from orxe_plugins.cost.sharing import positions_of
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_space import LabelSpace, shared_labels
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, as_policy
from orxe_plugins.policies.selection import Selection
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.util.exporting import refuse_symbolic

_HOW_TO_FIT = (
    "this cascade is not fitted: preference {preference:g} is used as every exit threshold. "
    "Fit it on labelled data with `orxe run RECIPE --data DIR` and load the folder that it writes."
)


class Cascade(Entrances, nn.Module):
    """Experts in a row, of which each sample sees as many as it needs.

    ``cascade(batch)`` gives the outputs; ``cascade.route(batch)`` gives them with a :class:`~orxe_plugins.Route`.
    In train mode every expert runs on every sample and the mean of their outputs comes back, so
    that a loss reaches every parameter.

    The current policy is one immutable object: a call reads it once, so that
    :meth:`set_preference` may be called from another thread while a batch is answered. Nothing that a cascade
    decides is written into its experts: an expert may serve in several cascades, also at once.

    Args:
        experts: N experts, cheapest first.
        policy: thresholds, or a row of a policy table; None takes them from ``table``, or else from ``preference``.
        table: fitted policies, one per preference.
        preference: where to start: 0 = only cost counts, 1 = only performance counts.
        input_view: how float tensors that hold images were made; the widest view of the experts by
            default. Records and inference must agree on it.
        names: label names of detectors' answers, or a :class:`~orxe_plugins.experts.label_space.LabelSpace` that also
            says what happens to other labels; by default those of the first detector without a remap.
        remap: what a label is called among ``names``, for every detector that knows it; None drops it. It goes before
            the detectors' own ``remap``.

    Attributes:
        dense: run every expert on every sample and select; what tracing and export need.
        setup: what the cascade decided for its experts; one immutable object, as the policy is.
        guard: routes the batches instead, by other policies and with samples held back; None for none. See
            :class:`orxe_plugins.BudgetGuard`.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        policy: Policy | PolicyRow | None = None,
        table: PolicyTable | None = None,
        preference: float = 0.5,
        input_view: ImageView | None = None,
        names: Sequence[str] | LabelSpace | None = None,
        remap: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__()
        if not experts:
            raise OrxeError("a cascade needs at least one expert, but none is given")
        self.setup = setup_of(experts, input_view, _space(names, remap or {}))
        self.experts = nn.ModuleList(experts)
        self.dense = False
        self.guard: Guard | None = None
        self._warned = False
        if table is not None:
            table.check_n_experts(len(experts))
        self.table = table
        if policy is None:
            self.set_preference(preference)
        else:
            self.policy = as_policy(policy)
        self.eval()

    @classmethod
    def from_modules(
        cls,
        modules: Sequence[nn.Module],
        exit_thresholds: Sequence[float | None],
        skip_thresholds: Sequence[float] = (),
        *,
        names: Sequence[str] | None = None,
        costs: Sequence[float] | None = None,
        confidence: Any = None,
    ) -> Cascade:
        """A cascade of plain torch modules that all take the same input, without any framework.

        Args:
            modules: N modules, cheapest first; each maps a batch to outputs of one shape.
            exit_thresholds: one for each module but the last; None is never.
            skip_thresholds: likewise; empty skips none.
            names: what tables call the modules; their class and position by default.
            costs: cost per sample of each; counted in GMACs before the first batch is answered by default.
            confidence: a confidence provider for all; max softmax by default.
        """
        labels = names or [f"{type(module).__name__}-{i}" for i, module in enumerate(modules)]
        for kind, given in (("names", labels), ("costs", costs)):
            if given is not None and len(given) != len(modules):
                raise OrxeError(f"{len(given)} {kind} for {len(modules)} modules: expected one of each")
        experts = [
            Expert(label, module, confidence=confidence, cost=None if costs is None else float(costs[i]))
            for i, (label, module) in enumerate(zip(labels, modules, strict=True))
        ]
        return cls(experts, Policy(tuple(exit_thresholds), tuple(skip_thresholds)))

    @property
    def members(self) -> tuple[Expert, ...]:
        """The experts, cheapest first.

        An expert that runs alone takes float tensors of its own view and answers in its own label space;
        ``expert.run(batch, cascade.context(batch))`` answers as it does in the cascade.
        """
        return tuple(cast(Expert, expert) for expert in self.experts)

    # --- what the experts share ---------------------------------------------------------------

    @property
    def input_view(self) -> ImageView | None:
        """How float tensors that hold images are made; None if there are no classifiers."""
        return self.setup.input_view

    @input_view.setter
    def input_view(self, view: ImageView | None) -> None:
        self.setup = replace(self.setup, input_view=view)

    @property
    def answer_names(self) -> tuple[str, ...]:
        """Label names of the answers of detectors; empty if there are none."""
        return next((labels.names for labels in self.setup.labels.values()), ())

    def answer_in(
        self,
        names: Sequence[str] | None = None,
        remap: Mapping[str, str | None] | None = None,
        classes: str | None = None,
    ) -> None:
        """Let detectors answer in another label space from the next batch on.

        Args:
            names: the label names; those that they answer in by default.
            remap: what a label is called among them, beside the cascade's ``remap`` so far.
            classes: "data" drops labels of experts that are not among them, "intersect" also those of them that not
                every expert knows; by default as each expert's own ``classes`` says.

        Raises:
            OrxeError: no detector has a label of ``remap``, or labels are left over.
        """
        remap = {**self.setup.remap, **(remap or {})}
        labels = shared_labels(self.members, LabelSpace(names or self.answer_names or None, remap, classes))
        self.setup = replace(self.setup, labels=labels, remap=remap)

    def context(self, batch: Any) -> BatchContext:
        """What the experts share while they answer a batch (see ``orxe_plugins.data.batch``)."""
        refuse_symbolic(batch)
        return BatchContext.of(batch, self.setup)

    # --- thresholds ---------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """The thresholds in force. Set them to a Policy, or to a row of a policy table, for the next batch on."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy | PolicyRow) -> None:
        new = as_policy(policy)
        new.check_n_experts(len(self.experts))
        self.bring(new)
        self._policy = new

    def set_preference(
        self,
        preference: float | Selection | None = None,
        *,
        budget: float | None = None,
        target: float | None = None,
        max_drop: float | None = None,
        confidence: float | None = None,
        max_experts: int | None = None,
        max_params: float | None = None,
        safety: float | None = None,
    ) -> Policy:
        """Switch the policy at run time; nothing is loaded and no batch sees half a change.

        ``set_preference(0.8)``, ``set_preference(budget=1.2)`` or ``set_preference(Selection(budget=1.2))``: the
        arguments are those of :class:`~orxe_plugins.policies.selection.Selection`, of which exactly one of preference,
        budget, target and max_drop is given.

        Returns:
            The policy that is in force now.

        Raises:
            OrxeError: the arguments are no :class:`Selection`, no policy of the table fits, or anything
                but a preference is asked of a cascade that was never fitted.
        """
        asked = Selection.of(
            preference, budget=budget, target=target, max_drop=max_drop,
            confidence=confidence, max_experts=max_experts, max_params=max_params, safety=safety,
        )  # fmt: skip
        self.policy = self._unfitted(asked) if self.table is None else self.table.choose(asked).policy
        return self.policy

    def _unfitted(self, asked: Selection) -> Policy:
        preference = asked.preference
        if preference is None or asked.limits:
            name = (*asked.limits, asked.goal)[0]
            raise OrxeError(f"{name} needs a fitted cascade: run `orxe run RECIPE --data DIR` and load its folder")
        if not self._warned and len(self.experts) > 1:
            self._warned = True
            warnings.warn(_HOW_TO_FIT.format(preference=preference), stacklevel=4)
        # The paper writes 1 for a threshold that nothing reaches; a saturated softmax does reach it.
        threshold = None if preference == 1 else float(preference)
        return Policy((threshold,) * (len(self.experts) - 1))

    @contextmanager
    def using(self, policy: Policy | PolicyRow) -> Iterator[Cascade]:
        """The cascade with another policy inside of a ``with`` block, for every thread that uses it."""
        before, self.policy = self.policy, as_policy(policy)
        try:
            yield self
        finally:
            self.policy = before

    # --- running ------------------------------------------------------------------------------

    def forward(self, batch: Any) -> Any:
        """Outputs for B samples: logits (B, C) for classifiers."""
        if self.training:
            return self.mean_outputs(batch)
        return self.route(batch)[0]

    def mean_outputs(self, batch: Tensor) -> Tensor:
        """Mean of all experts' outputs, (B, C): what a training loss works on."""
        # Each expert runs for itself, as far as its own part of a shared backbone.
        outputs = [expert.outputs_for(batch, self.context(batch)) for expert in self.members]
        return torch.stack(outputs).mean(dim=0)  # (N, B, C) -> (B, C)

    def __prepare_scriptable__(self) -> NoReturn:
        raise OrxeError(
            "torch.jit.script cannot compile a cascade, whose path depends on the data: use torch.jit.trace or "
            "torch.onnx.export, which run every expert and select (cascade.dense)"
        )

    def cost_range(self) -> tuple[float, float]:
        """Least and greatest cost that one sample can have under the policy in force."""
        members, enabled = self.members, self.policy.enabled
        needs = positions_of([expert.name for expert in members], [expert.needs for expert in members])

        def cost_of(ran: Sequence[int]) -> float:
            own = {i: members[i].measure_cost() for i in {*ran, *(needs[i] for i in ran if needs[i] >= 0)}}
            return sum(own.values()) + members[ran[-1]].shared_cost

        return cost_of(enabled[:1]), cost_of(enabled)


def _space(names: Sequence[str] | LabelSpace | None, remap: Mapping[str, str | None]) -> LabelSpace:
    return replace(names, remap={**names.remap, **remap}) if isinstance(names, LabelSpace) else LabelSpace(names, remap)
