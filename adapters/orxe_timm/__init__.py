"""The timm adapter: timm models as experts, and cascades as timm models."""

from typing import TYPE_CHECKING

from orxe_plugins.experts.registry import import_framework, register_adapter
from orxe_plugins.util.deprecated import renamed

import_framework("timm", "timm")
register_adapter("timm", __name__)

from orxe_timm.augment import augment  # noqa: E402
from orxe_timm.cascade_classifier import CascadeClassifier  # noqa: E402
from orxe_timm.exits import load_expert, load_untrained, view_of  # noqa: E402
from orxe_timm.mixing import mixed_batches  # noqa: E402
from orxe_timm.models import orxe_metamodel  # noqa: E402
from orxe_timm.recognise import recognise  # noqa: E402
from orxe_timm.risks import risks  # noqa: E402

__all__ = [
    "CascadeClassifier",
    "augment",
    "load_expert",
    "load_untrained",
    "mixed_batches",
    "orxe_metamodel",
    "recognise",
    "risks",
    "view_of",
]

# A type checker that saw this would accept any name.
if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"Metamodel": ("CascadeClassifier", CascadeClassifier)})
