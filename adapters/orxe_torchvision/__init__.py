"""The torchvision adapter: torchvision models as experts, and cascades as torchvision models.

``import orxe_torchvision`` registers ``orxe_metamodel`` and ``orxe_metamodel_detection`` for
``torchvision.models.get_model``.
"""

from typing import TYPE_CHECKING

from orxe_plugins.experts.registry import import_framework, register_adapter
from orxe_plugins.util.deprecated import renamed

import_framework("torchvision", "torchvision")
register_adapter("torchvision", __name__)

from orxe_torchvision.cascade_classifier import CascadeClassifier, orxe_metamodel  # noqa: E402
from orxe_torchvision.cascade_detector import CascadeDetector, orxe_metamodel_detection  # noqa: E402
from orxe_torchvision.experts import load_expert, load_untrained, view_of  # noqa: E402
from orxe_torchvision.packing import pack_expert, unpack_expert  # noqa: E402
from orxe_torchvision.risks import risks  # noqa: E402

__all__ = [
    "CascadeClassifier",
    "CascadeDetector",
    "load_expert",
    "load_untrained",
    "orxe_metamodel",
    "orxe_metamodel_detection",
    "pack_expert",
    "risks",
    "unpack_expert",
    "view_of",
]

# A type checker that saw this would accept any name.
if not TYPE_CHECKING:
    __getattr__ = renamed(
        __name__,
        {
            "MetaModel": ("CascadeClassifier", CascadeClassifier),
            "DetectionMetaModel": ("CascadeDetector", CascadeDetector),
        },
    )
