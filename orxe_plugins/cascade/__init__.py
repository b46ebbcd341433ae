"""Cascade: experts and thresholds as one model, and its folder on disk."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.cascade.build import CascadeLike, ExpertLike, build_cascade
    from orxe_plugins.cascade.cascade import Cascade
    from orxe_plugins.cascade.controls import CascadeControls
    from orxe_plugins.cascade.faults import ExpertTimeoutError, Fault
    from orxe_plugins.cascade.file import CascadeFile, load_cascade, read_cascade, write_cascade
    from orxe_plugins.cascade.frames import Frames
    from orxe_plugins.cascade.guard import BudgetGuard, GuardState
    from orxe_plugins.cascade.optimize_report import OptimizedExpert, OptimizeReport
    from orxe_plugins.cascade.route import Route
    from orxe_plugins.cascade.save import save_cascade
    from orxe_plugins.cascade.stream_answer import StreamAnswer
else:
    _PLACES = {
        "BudgetGuard": "orxe_plugins.cascade.guard",
        "Cascade": "orxe_plugins.cascade.cascade",
        "CascadeFile": "orxe_plugins.cascade.file",
        "CascadeControls": "orxe_plugins.cascade.controls",
        "CascadeLike": "orxe_plugins.cascade.build",
        "ExpertLike": "orxe_plugins.cascade.build",
        "ExpertTimeoutError": "orxe_plugins.cascade.faults",
        "Fault": "orxe_plugins.cascade.faults",
        "Frames": "orxe_plugins.cascade.frames",
        "OptimizeReport": "orxe_plugins.cascade.optimize_report",
        "OptimizedExpert": "orxe_plugins.cascade.optimize_report",
        "GuardState": "orxe_plugins.cascade.guard",
        "Route": "orxe_plugins.cascade.route",
        "StreamAnswer": "orxe_plugins.cascade.stream_answer",
        "build_cascade": "orxe_plugins.cascade.build",
        "load_cascade": "orxe_plugins.cascade.file",
        "read_cascade": "orxe_plugins.cascade.file",
        "save_cascade": "orxe_plugins.cascade.save",
        "write_cascade": "orxe_plugins.cascade.file",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "BudgetGuard",
    "Cascade",
    "CascadeControls",
    "CascadeFile",
    "CascadeLike",
    "ExpertLike",
    "ExpertTimeoutError",
    "Fault",
    "Frames",
    "GuardState",
    "OptimizeReport",
    "OptimizedExpert",
    "Route",
    "StreamAnswer",
    "build_cascade",
    "load_cascade",
    "read_cascade",
    "save_cascade",
    "write_cascade",
]
