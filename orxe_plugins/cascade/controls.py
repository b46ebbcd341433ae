"""CascadeControls: what the cascade model of every framework offers beside the framework's own methods."""

from __future__ import annotations

from typing import Any

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.route import Route
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, as_policy
from orxe_plugins.policies.selection import Selection


class CascadeControls:
    """The cascade's controls on a model of some framework; the subclass has a ``cascade``."""

    cascade: Cascade

    @property
    def policy(self) -> Policy:
        """The thresholds in force. Set them to a Policy, or to a row of a policy table, for the next batch on."""
        return self.cascade.policy

    @policy.setter
    def policy(self, policy: Policy | PolicyRow) -> None:
        self.cascade.policy = as_policy(policy)

    def set_preference(self, preference: float | Selection | None = None, **asked: Any) -> Policy:
        """Switch the thresholds at run time, by a Selection or by preference=, budget=, target= or max_drop=.

        See :meth:`orxe_plugins.Cascade.set_preference`, which takes the same arguments.
        """
        return self.cascade.set_preference(preference, **asked)

    def route(self, batch: Any) -> tuple[Any, Route]:
        """Outputs for B samples, and which expert gave each at what cost; see :meth:`orxe_plugins.Cascade.route`."""
        return self.cascade.route(batch)
