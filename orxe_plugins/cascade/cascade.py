"""Cascade: experts and thresholds as one model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from orxe_plugins.cascade.routing import Route, route_batch, route_dense
from orxe_plugins.cost.sharing import check_sharing, positions_of
from orxe_plugins.data.views import ImageView, widest_view
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_space import check_same_classes
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, as_policy
from orxe_plugins.policies.selection import Selection
from orxe_plugins.policies.table import PolicyTable

_HOW_TO_FIT = (
    "this cascade is not fitted: preference {preference:g} is used as every exit threshold. "
    "Fit it on labelled data with `orxe run RECIPE --data DIR` and load the folder that it writes."
)


class Cascade(nn.Module):
    """Experts in a row, of which each sample sees as many as it needs.

    ``cascade(batch)`` gives the outputs; ``cascade.route(batch)`` gives them with a :class:`Route`.
    In train mode every expert runs on every sample and the mean of their outputs comes back, so
    that a loss reaches every parameter.

    The current policy is one immutable object: a call reads it once, so that
    :meth:`set_preference` may be called from another thread while a batch is on its way.

    Args:
        experts: N experts, cheapest first.
        policy: thresholds, or a row of a policy table; None takes them from ``table``, or else from ``preference``.
        table: fitted policies, one per preference.
        preference: where to start: 0 = only cost counts, 1 = only performance counts.
        input_view: how float tensors that hold images were made; the widest view of the experts by
            default. Records and inference must agree on it.

    Attributes:
        dense: run every expert on every sample and select; what tracing and export need.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        policy: Policy | PolicyRow | None = None,
        table: PolicyTable | None = None,
        preference: float = 0.5,
        input_view: ImageView | None = None,
    ) -> None:
        super().__init__()
        if not experts:
            raise OrxeError("a cascade needs at least one expert, but none is given")
        for expert in experts:
            expert.join(experts)
        check_same_classes(experts)
        _check_sharing(experts)
        self.experts = nn.ModuleList(experts)
        self.dense = False
        self.input_view = _share_input(experts, input_view)
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
            skip_thresholds: likewise; empty skips nobody.
            names: what tables call the modules; their class and position by default.
            costs: cost per sample of each; counted in GMACs on the first batch by default.
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
        """The experts, cheapest first."""
        return tuple(cast(Expert, expert) for expert in self.experts)

    # --- thresholds ---------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """The thresholds in force. Set them to a Policy, or to a row of a policy table, for the next batch on."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy | PolicyRow) -> None:
        new = as_policy(policy)
        new.check_n_experts(len(self.experts))
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
            confidence=confidence, max_experts=max_experts, max_params=max_params,
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
        return torch.stack([expert(batch) for expert in self.members]).mean(dim=0)  # (N, B, C) -> (B, C)

    def route(self, batch: Any) -> tuple[Any, Route]:
        """Outputs for B samples, and which expert gave each of them at what cost.

        A sample enters the first enabled expert. After expert i with confidence c it exits if
        c >= exit_thresholds[i]; else it goes to the first enabled j > i with
        c >= skip_thresholds[j]; the last one always answers. A NaN confidence counts as 0.
        """
        dense = self.dense or _is_exporting()
        return (route_dense if dense else route_batch)(self.members, self._policy, batch)

    def cost_range(self) -> tuple[float, float]:
        """Least and greatest cost that one sample can have under the policy in force."""
        members, enabled = self.members, self.policy.enabled
        needs = positions_of([expert.name for expert in members], [expert.needs for expert in members])

        def cost_of(ran: Sequence[int]) -> float:
            own = {i: members[i].measure_cost() for i in {*ran, *(needs[i] for i in ran if needs[i] >= 0)}}
            return sum(own.values()) + members[ran[-1]].shared_cost

        return cost_of(enabled[:1]), cost_of(enabled)


def _check_sharing(experts: Sequence[Expert]) -> None:
    names = [expert.name for expert in experts]
    needs = positions_of(names, [expert.needs for expert in experts])
    check_sharing(names, [expert.shared_cost for expert in experts], needs)


def _share_input(experts: Sequence[Expert], view: ImageView | None) -> ImageView | None:
    """Tell all classifiers what the one tensor shows that they share; None if there are no classifiers."""
    classifiers = [expert for expert in experts if isinstance(expert, ClassifierExpert)]
    if not classifiers:
        return None
    shared = view or widest_view([expert.view for expert in classifiers])
    for expert in classifiers:
        expert.input_view = shared
    return shared


def _is_exporting() -> bool:
    return torch.jit.is_tracing() or torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
