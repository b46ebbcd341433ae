"""Tasks: what a sample's score and a data set's metric are."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.tasks.classification import Classification
    from orxe_plugins.tasks.detection import Detection, evaluator, recorded_matches
    from orxe_plugins.tasks.regression import Regression
    from orxe_plugins.tasks.segmentation import Segmentation
    from orxe_plugins.tasks.task import Scored, Task, register_task, task_named, task_names
    from orxe_plugins.tasks.unlabelled import Unlabelled
else:
    _PLACES = {
        "Classification": "orxe_plugins.tasks.classification",
        "Detection": "orxe_plugins.tasks.detection",
        "Regression": "orxe_plugins.tasks.regression",
        "Scored": "orxe_plugins.tasks.task",
        "Segmentation": "orxe_plugins.tasks.segmentation",
        "Task": "orxe_plugins.tasks.task",
        "Unlabelled": "orxe_plugins.tasks.unlabelled",
        "evaluator": "orxe_plugins.tasks.detection",
        "recorded_matches": "orxe_plugins.tasks.detection",
        "register_task": "orxe_plugins.tasks.task",
        "task_named": "orxe_plugins.tasks.task",
        "task_names": "orxe_plugins.tasks.task",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Classification",
    "Detection",
    "Regression",
    "Scored",
    "Segmentation",
    "Task",
    "Unlabelled",
    "evaluator",
    "recorded_matches",
    "register_task",
    "task_named",
    "task_names",
]
