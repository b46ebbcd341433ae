"""The MMDetection adapter: mmdet detectors as experts, and cascades as mmdet detectors.

``import orxe_mmdet``, or ``custom_imports=dict(imports=["orxe_mmdet"])`` in a config, registers
``CascadeDetector``, ``CascadeTTAModel`` and ``CascadeCost``. Where mmcv has no compiled ops, import it before
``mmdet.apis``.
"""

from orxe_plugins.experts.registry import import_framework, register_adapter

import_framework("mmcv", "mmdet")

from orxe_mmdet import ops  # noqa: E402
from orxe_mmdet.framework import import_mmdet  # noqa: E402

ops.install()
import_mmdet()
register_adapter("mmdet", __name__)

from orxe_mmdet.cascade_detector import TEST_PIPELINE, CascadeDetector  # noqa: E402
from orxe_mmdet.checkpoints import convert_checkpoint  # noqa: E402
from orxe_mmdet.experts import MMDetExpert, load_expert, load_untrained  # noqa: E402
from orxe_mmdet.metric import CascadeCost  # noqa: E402
from orxe_mmdet.packing import pack_expert, unpack_expert  # noqa: E402
from orxe_mmdet.risks import risks  # noqa: E402
from orxe_mmdet.tta import CascadeTTAModel  # noqa: E402

__all__ = [
    "TEST_PIPELINE",
    "CascadeCost",
    "CascadeDetector",
    "CascadeTTAModel",
    "MMDetExpert",
    "convert_checkpoint",
    "load_expert",
    "load_untrained",
    "ops",
    "pack_expert",
    "risks",
    "unpack_expert",
]
