"""The tasks that are installed; read without importing any of them."""

from __future__ import annotations

from importlib.metadata import entry_points

#: the group of entry points by which a package offers its tasks
TASK_GROUP = "orxe_plugins.tasks"
#: the tasks of this project: name -> module that registers it
BUILT_IN = {
    "classification": "orxe_plugins.tasks.classification",
    "detection": "orxe_plugins.tasks.detection",
    "regression": "orxe_plugins.tasks.regression",
    "segmentation": "orxe_plugins.tasks.segmentation",
}


def installed_tasks() -> tuple[str, ...]:
    """Names of the tasks of this project and of other packages' entry points, sorted."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=TASK_GROUP))}))
