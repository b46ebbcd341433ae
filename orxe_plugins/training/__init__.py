"""Short training loops: for experts that a recipe makes, and for ranking gates."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.training.gate import GateSettings, fit_gate
    from orxe_plugins.training.gate_files import GateFiles, train_gates, with_gates
    from orxe_plugins.training.loop import Loss, Schedule, fixed_threads, train
    from orxe_plugins.training.make import make_expert
else:
    _PLACES = {
        "GateFiles": "orxe_plugins.training.gate_files",
        "GateSettings": "orxe_plugins.training.gate",
        "Loss": "orxe_plugins.training.loop",
        "Schedule": "orxe_plugins.training.loop",
        "fit_gate": "orxe_plugins.training.gate",
        "fixed_threads": "orxe_plugins.training.loop",
        "make_expert": "orxe_plugins.training.make",
        "train": "orxe_plugins.training.loop",
        "train_gates": "orxe_plugins.training.gate_files",
        "with_gates": "orxe_plugins.training.gate_files",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "GateFiles",
    "GateSettings",
    "Loss",
    "Schedule",
    "fit_gate",
    "fixed_threads",
    "make_expert",
    "train",
    "train_gates",
    "with_gates",
]
