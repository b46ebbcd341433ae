"""The torchvision adapter: torchvision models as experts, and cascades as torchvision models.

``import orxe_torchvision`` registers ``orxe_metamodel`` and ``orxe_metamodel_detection`` for
``torchvision.models.get_model``.
"""

from orxe_plugins.experts.registry import import_framework

import_framework("torchvision", "torchvision")

from orxe_torchvision.detection_metamodel import DetectionMetaModel, orxe_metamodel_detection  # noqa: E402
from orxe_torchvision.experts import load_expert, load_untrained  # noqa: E402
from orxe_torchvision.metamodel import MetaModel, orxe_metamodel  # noqa: E402

__all__ = [
    "DetectionMetaModel",
    "MetaModel",
    "load_expert",
    "load_untrained",
    "orxe_metamodel",
    "orxe_metamodel_detection",
]
