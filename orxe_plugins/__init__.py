"""ORXE and TinySaver as a plug-in: cascades of pretrained experts that behave as one model.

Every name is imported when it is first used, so that ``import orxe_plugins`` alone costs next to nothing. What is not
offered here is offered by one of the packages, as ``orxe_plugins.esn``; modules inside of packages are not meant to be
imported by users.
"""

from typing import TYPE_CHECKING

from orxe_plugins._moved import install
from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.cascade.cascade import Cascade
    from orxe_plugins.cascade.file import load_cascade
    from orxe_plugins.cascade.frames import Frames
    from orxe_plugins.cascade.guard import BudgetGuard
    from orxe_plugins.cascade.route import Route
    from orxe_plugins.cascade.save import save_cascade
    from orxe_plugins.cascade.stream_answer import StreamAnswer
    from orxe_plugins.confidence.provider import ConfidenceProvider, register_confidence
    from orxe_plugins.data.views import ImageView
    from orxe_plugins.detection.detections import Detections
    from orxe_plugins.errors import OrxeError, OrxeWarning
    from orxe_plugins.evaluation.evaluate import evaluate
    from orxe_plugins.experts.classifier import ClassifierExpert
    from orxe_plugins.experts.detector import DetectorExpert
    from orxe_plugins.experts.expert import Answers, Expert
    from orxe_plugins.experts.registry import ExpertSpec, load_expert
    from orxe_plugins.policies.policy import Policy
    from orxe_plugins.policies.row import PolicyRow
    from orxe_plugins.policies.selection import Selection
    from orxe_plugins.policies.table import PolicyTable
    from orxe_plugins.records.loading import load_records
    from orxe_plugins.records.recorder import record
    from orxe_plugins.records.records import Records
    from orxe_plugins.report.figures.frontier import frontier_figure
    from orxe_plugins.report.figures.saver import saver_figure
    from orxe_plugins.report.figures.shares import shares_figure
    from orxe_plugins.search.fit import fit_policies
    from orxe_plugins.search.pool import select_pool
    from orxe_plugins.search.replay import replay
    from orxe_plugins.search.savers import select_saver
    from orxe_plugins.tasks.task import Task, register_task
    from orxe_plugins.util.trust import trusting
else:
    _PLACES = {
        "Answers": "orxe_plugins.experts.expert",
        "BudgetGuard": "orxe_plugins.cascade.guard",
        "Cascade": "orxe_plugins.cascade.cascade",
        "ClassifierExpert": "orxe_plugins.experts.classifier",
        "ConfidenceProvider": "orxe_plugins.confidence.provider",
        "Detections": "orxe_plugins.detection.detections",
        "DetectorExpert": "orxe_plugins.experts.detector",
        "Expert": "orxe_plugins.experts.expert",
        "ExpertSpec": "orxe_plugins.experts.registry",
        "Frames": "orxe_plugins.cascade.frames",
        "ImageView": "orxe_plugins.data.views",
        "OrxeError": "orxe_plugins.errors",
        "OrxeWarning": "orxe_plugins.errors",
        "Policy": "orxe_plugins.policies.policy",
        "PolicyRow": "orxe_plugins.policies.row",
        "PolicyTable": "orxe_plugins.policies.table",
        "Records": "orxe_plugins.records.records",
        "Route": "orxe_plugins.cascade.route",
        "Selection": "orxe_plugins.policies.selection",
        "StreamAnswer": "orxe_plugins.cascade.stream_answer",
        "Task": "orxe_plugins.tasks.task",
        "evaluate": "orxe_plugins.evaluation.evaluate",
        "fit_policies": "orxe_plugins.search.fit",
        "frontier_figure": "orxe_plugins.report.figures.frontier",
        "load_cascade": "orxe_plugins.cascade.file",
        "load_expert": "orxe_plugins.experts.registry",
        "load_records": "orxe_plugins.records.loading",
        "record": "orxe_plugins.records.recorder",
        "register_confidence": "orxe_plugins.confidence.provider",
        "register_task": "orxe_plugins.tasks.task",
        "replay": "orxe_plugins.search.replay",
        "save_cascade": "orxe_plugins.cascade.save",
        "saver_figure": "orxe_plugins.report.figures.saver",
        "select_pool": "orxe_plugins.search.pool",
        "select_saver": "orxe_plugins.search.savers",
        "shares_figure": "orxe_plugins.report.figures.shares",
        "trusting": "orxe_plugins.util.trust",
    }
    _PACKAGES = (
        "cascade",
        "cli",
        "confidence",
        "cost",
        "data",
        "detection",
        "errors",
        "esn",
        "evaluation",
        "experts",
        "policies",
        "records",
        "report",
        "run",
        "search",
        "serving",
        "tasks",
        "training",
        "util",
    )
    __getattr__, __dir__ = lazy_names(__name__, _PLACES, _PACKAGES)

__version__ = "0.2.0.dev0"

__all__ = [
    "Answers",
    "BudgetGuard",
    "Cascade",
    "ClassifierExpert",
    "ConfidenceProvider",
    "Detections",
    "DetectorExpert",
    "Expert",
    "ExpertSpec",
    "Frames",
    "ImageView",
    "OrxeError",
    "OrxeWarning",
    "Policy",
    "PolicyRow",
    "PolicyTable",
    "Records",
    "Route",
    "Selection",
    "StreamAnswer",
    "Task",
    "evaluate",
    "fit_policies",
    "frontier_figure",
    "load_cascade",
    "load_expert",
    "load_records",
    "record",
    "register_confidence",
    "register_task",
    "replay",
    "save_cascade",
    "saver_figure",
    "select_pool",
    "select_saver",
    "shares_figure",
    "trusting",
]

install()
