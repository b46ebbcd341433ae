"""Experts out of torchvision models: ``torchvision:NAME?option=value``."""

from __future__ import annotations

from typing import Any

from torchvision.models import get_model_builder, list_models

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.experts.expert import Expert
from orxe_torchvision.classifier import classifier_view, load_classifier
from orxe_torchvision.detection import load_detector
from orxe_torchvision.weights import default_weights

_CLASSIFIER_TRANSFORMS = "ImageClassification"
_DETECTOR_TRANSFORMS = "ObjectDetection"


def load_expert(name: str, *, pretrained: bool | None = None, **options: Any) -> Expert:
    """A torchvision model as an expert: a classifier or a detector, whichever it is.

    Args:
        name: a name of ``torchvision.models.list_models()``, such as ``resnet18``.
        pretrained: False is short for ``weights=None`` where there is no checkpoint.
        **options: any of
            ``weights``: which of the model's weights, as ``IMAGENET1K_V1``; the recommended ones by default, None or
            "none" for random ones. They also say how images are prepared and what labels are called;
            ``checkpoint``: a file of weights, taken instead of downloading;
            of a classifier ``input_size``, ``resize_size``, ``mean``, ``std``, ``interpolation``: change the
            preparation that comes with the weights;
            of a detector ``classes``: label names without the background, for a model of other labels than COCO's;
            ``score_thresh``, ``nms_thresh``, ``detections_per_img``: which boxes stay;
            and what is handed to the model's builder: num_classes, min_size, ...

    Raises:
        OrxeError: the name is unknown, or the model does another task.
    """
    name, options = _known_name(name), _with_weights(pretrained, options)
    kind = _kind(name)
    if kind == _CLASSIFIER_TRANSFORMS:
        return load_classifier(name, **options)
    if kind == _DETECTOR_TRANSFORMS:
        return load_detector(name, **options)
    raise OrxeError(f"torchvision:{name} is made for {kind}: expected an image classifier or an object detector")


def load_untrained(name: str, **options: Any) -> Expert:
    """The same architecture with random weights: nothing is downloaded."""
    return load_expert(name, **{**options, "weights": None, "checkpoint": None})


def view_of(name: str, *, pretrained: bool | None = None, **options: Any) -> ImageView | None:
    """What a classifier of :func:`load_expert` would see of an image, None for a detector; no weights are read."""
    name = _known_name(name)
    if _kind(name) != _CLASSIFIER_TRANSFORMS:
        return None
    return classifier_view(name, **_with_weights(pretrained, options))


def _known_name(name: str) -> str:
    # A cascade is a model of torchvision too, but no expert.
    known = [model for model in list_models() if not get_model_builder(model).__module__.startswith("orxe_")]
    if name.lower() not in known:
        raise unknown("expert", f"torchvision:{name}", (f"torchvision:{model}" for model in known))
    return name.lower()


def _with_weights(pretrained: bool | None, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with random weights where ``pretrained`` is False and there is no checkpoint."""
    random = pretrained is False and options.get("checkpoint") is None
    return {"weights": None, **options} if random else options


def _kind(name: str) -> str:
    """What a model's own preprocessing is for: ImageClassification, ObjectDetection, ..."""
    weights = default_weights(name)
    if weights is not None:
        return type(weights.transforms()).__name__
    # Models that others registered may come without weights; their module says what they do.
    return _DETECTOR_TRANSFORMS if ".detection" in get_model_builder(name).__module__ else _CLASSIFIER_TRANSFORMS
