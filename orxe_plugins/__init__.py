"""ORXE and TinySaver as a plug-in: cascades of pretrained experts that behave as one model."""

from orxe_plugins.cascade import Cascade
from orxe_plugins.cascade_file import load_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.expert import Answers, ClassifierExpert, Expert
from orxe_plugins.policy import Policy, PolicyRow, PolicyTable
from orxe_plugins.records import Records
from orxe_plugins.registry import ExpertSpec, load_expert
from orxe_plugins.routing import Route
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
