"""Tasks: what a sample's score and a data set's metric are."""

from orxe_plugins.tasks.classification import Classification
from orxe_plugins.tasks.detection import Detection
from orxe_plugins.tasks.regression import Regression
from orxe_plugins.tasks.segmentation import Segmentation
from orxe_plugins.tasks.task import Scored, Task, register_task, task_named, task_names

__all__ = [
    "Classification",
    "Detection",
    "Regression",
    "Scored",
    "Segmentation",
    "Task",
    "register_task",
    "task_named",
    "task_names",
]
