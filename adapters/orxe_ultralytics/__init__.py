"""The Ultralytics adapter: YOLO models as experts, and cascades as Ultralytics models."""

from orxe_plugins.experts.registry import import_framework, register_adapter

import_framework("ultralytics", "ultralytics")
register_adapter("ultralytics", __name__)

from orxe_ultralytics.cascade_yolo import CascadeYOLO, restore_cascade  # noqa: E402
from orxe_ultralytics.data import YoloDataset  # noqa: E402
from orxe_ultralytics.experts import YoloExpert, load_expert, load_untrained  # noqa: E402
from orxe_ultralytics.packing import pack_expert, unpack_expert  # noqa: E402
from orxe_ultralytics.risks import risks  # noqa: E402
from orxe_ultralytics.routed_val import RoutedVal  # noqa: E402

__all__ = [
    "CascadeYOLO",
    "RoutedVal",
    "YoloDataset",
    "YoloExpert",
    "load_expert",
    "load_untrained",
    "pack_expert",
    "restore_cascade",
    "risks",
    "unpack_expert",
]
