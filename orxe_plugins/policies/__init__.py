"""Policies: the thresholds of a cascade, and the table of them."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.policies.policy import Policy
    from orxe_plugins.policies.row import PolicyRow, Promise
    from orxe_plugins.policies.selection import Selection
    from orxe_plugins.policies.table import PolicyTable
else:
    _PLACES = {
        "Policy": "orxe_plugins.policies.policy",
        "PolicyRow": "orxe_plugins.policies.row",
        "PolicyTable": "orxe_plugins.policies.table",
        "Promise": "orxe_plugins.policies.row",
        "Selection": "orxe_plugins.policies.selection",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Policy",
    "PolicyRow",
    "PolicyTable",
    "Promise",
    "Selection",
]
