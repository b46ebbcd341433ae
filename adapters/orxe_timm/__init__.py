"""The timm adapter: timm models as experts, and cascades as timm models."""

from orxe_plugins.experts.registry import import_framework
from orxe_plugins.util.deprecated import renamed

import_framework("timm", "timm")

from orxe_timm.augment import augment  # noqa: E402
from orxe_timm.cascade_classifier import CascadeClassifier  # noqa: E402
from orxe_timm.exits import load_expert, load_untrained  # noqa: E402
from orxe_timm.mixing import mixed_batches  # noqa: E402
from orxe_timm.models import orxe_metamodel  # noqa: E402

__all__ = ["CascadeClassifier", "augment", "load_expert", "load_untrained", "mixed_batches", "orxe_metamodel"]

__getattr__ = renamed(__name__, {"Metamodel": ("CascadeClassifier", CascadeClassifier)})
