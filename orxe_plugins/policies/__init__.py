"""Policies: the thresholds of a cascade, and the table of them."""

from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, Promise
from orxe_plugins.policies.selection import Selection
from orxe_plugins.policies.table import PolicyTable

__all__ = ["Policy", "PolicyRow", "PolicyTable", "Promise", "Selection"]
