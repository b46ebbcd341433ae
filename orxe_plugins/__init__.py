"""ORXE and TinySaver as a plug-in: cascades of pretrained experts that behave as one model."""

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import load_cascade
from orxe_plugins.cascade.routing import Route
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Answers, Expert
from orxe_plugins.experts.registry import ExpertSpec, load_expert
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records import Records
from orxe_plugins.search import fit_policies, replay, select_pool, select_saver

__version__ = "0.1.0"

__all__ = [
    "Answers",
    "Cascade",
    "ClassifierExpert",
    "Expert",
    "ExpertSpec",
    "OrxeError",
    "Policy",
    "PolicyRow",
    "PolicyTable",
    "Records",
    "Route",
    "fit_policies",
    "load_cascade",
    "load_expert",
    "replay",
    "select_pool",
    "select_saver",
]
