"""Experts: pretrained models with their own preprocessing, cost and confidence."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
    from orxe_plugins.experts.checkpoints import load_checkpoint, read_state_dict, write_checkpoint
    from orxe_plugins.experts.classifier import ClassifierExpert
    from orxe_plugins.experts.detector import DetectorExpert
    from orxe_plugins.experts.expert import Answers, Expert, FeatureLayer
    from orxe_plugins.experts.measure import measure_latency
    from orxe_plugins.experts.registry import (
        Adapter,
        ExpertSpec,
        adapter_names,
        import_framework,
        load_adapter,
        load_expert,
        load_experts,
        load_untrained,
        parse_address,
        register_adapter,
    )
else:
    _PLACES = {
        "Adapter": "orxe_plugins.experts.registry",
        "Answers": "orxe_plugins.experts.expert",
        "BatchContext": "orxe_plugins.experts.batch_context",
        "CascadeSetup": "orxe_plugins.experts.batch_context",
        "ClassifierExpert": "orxe_plugins.experts.classifier",
        "DetectorExpert": "orxe_plugins.experts.detector",
        "Expert": "orxe_plugins.experts.expert",
        "ExpertSpec": "orxe_plugins.experts.registry",
        "FeatureLayer": "orxe_plugins.experts.expert",
        "adapter_names": "orxe_plugins.experts.registry",
        "import_framework": "orxe_plugins.experts.registry",
        "load_adapter": "orxe_plugins.experts.registry",
        "load_checkpoint": "orxe_plugins.experts.checkpoints",
        "load_expert": "orxe_plugins.experts.registry",
        "load_experts": "orxe_plugins.experts.registry",
        "load_untrained": "orxe_plugins.experts.registry",
        "measure_latency": "orxe_plugins.experts.measure",
        "parse_address": "orxe_plugins.experts.registry",
        "read_state_dict": "orxe_plugins.experts.checkpoints",
        "register_adapter": "orxe_plugins.experts.registry",
        "write_checkpoint": "orxe_plugins.experts.checkpoints",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Adapter",
    "Answers",
    "BatchContext",
    "CascadeSetup",
    "ClassifierExpert",
    "DetectorExpert",
    "Expert",
    "ExpertSpec",
    "FeatureLayer",
    "adapter_names",
    "import_framework",
    "load_adapter",
    "load_checkpoint",
    "load_expert",
    "load_experts",
    "load_untrained",
    "measure_latency",
    "parse_address",
    "read_state_dict",
    "register_adapter",
    "write_checkpoint",
]
