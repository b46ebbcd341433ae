"""torchvision's image classifiers as experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torchvision.models import WeightsEnum

from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.checkpoints import load_checkpoint
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import FeatureLayer
from orxe_torchvision.weights import create_model, default_weights, find_weights

#: their builders normalise the input once more where they are asked for pretrained weights
_TRANSFORM_INPUT = ("googlenet", "inception_v3")
_VIEW_OPTIONS = ("input_size", "resize_size", "mean", "std", "interpolation")


class MainLogits(nn.Module):
    """A classifier whose auxiliary heads stay unseen: logits (B, C) in train mode too."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.model(images)
        return outputs if isinstance(outputs, Tensor) else outputs.logits


def load_classifier(
    name: str, *, weights: str | None = "DEFAULT", checkpoint: str | None = None, **options: Any
) -> ClassifierExpert:
    """A torchvision classifier as an expert.

    Args:
        name: a name of ``torchvision.models.list_models()``.
        weights: which of the model's weights, as ``IMAGENET1K_V1``; None or "none" for random ones.
            They also say how images are prepared and what the classes are called.
        checkpoint: a file of weights, taken instead of downloading; the images are prepared as
            for ``weights``.
        **options: any of
            ``input_size``: side of the square crop in pixels; the share of the image that it shows stays;
            ``resize_size``: length of the image's shorter side before the crop, in pixels;
            ``mean``, ``std``, ``interpolation``: change the preparation that comes with the weights;
            and what is handed to the model's builder: num_classes, ...

    Raises:
        OrxeError: the weights are unknown, an option does not fit, or the checkpoint belongs to another model.
    """
    meta = find_weights(name, weights)
    view = _view(name, meta, {key: options.pop(key, None) for key in _VIEW_OPTIONS})
    download = meta if checkpoint is None else None
    if checkpoint is not None and meta is not None and name in _TRANSFORM_INPUT:
        options.setdefault("transform_input", True)
    module = create_model(name, download, options)
    if checkpoint is not None:
        load_checkpoint(module, checkpoint, f"torchvision:{name}")
    names = tuple(meta.meta.get("categories", ())) if meta is not None else ()
    num_classes = int(options.get("num_classes", len(names) or 1000))
    if name in _TRANSFORM_INPUT:
        module = MainLogits(module)
    expert = ClassifierExpert(f"torchvision:{name}", module.eval(), view=view, num_classes=num_classes)
    expert.names = names if len(names) == num_classes else ()
    expert.feature_layer = _feature_layer(module, num_classes)
    return expert


def _feature_layer(module: nn.Module, num_classes: int) -> FeatureLayer | None:
    """The input of the layer that gives the logits: the last linear one, or convolution (SqueezeNet)."""
    found = None
    for path, part in module.named_modules():
        outputs = getattr(part, "out_features", getattr(part, "out_channels", None))
        if isinstance(part, (nn.Linear, nn.Conv2d)) and outputs == num_classes:
            found = path
    return None if found is None else FeatureLayer(found, "input")


def classifier_view(name: str, weights: str | None = "DEFAULT", **options: Any) -> ImageView:
    """What :func:`load_classifier` with the same arguments would see of an image."""
    return _view(name, find_weights(name, weights), {key: options.get(key) for key in _VIEW_OPTIONS})


def _view(name: str, weights: WeightsEnum | None, options: dict[str, Any]) -> ImageView:
    """The weights' own view, changed by options; a model with random weights sees what its default ones would."""
    view = ImageView(size=(224, 224), resize=256)
    source = weights if weights is not None else default_weights(name)
    if source is not None:
        transforms = source.transforms()
        (side,), (resize,) = transforms.crop_size, transforms.resize_size
        mean, std = tuple(transforms.mean), tuple(transforms.std)
        view = ImageView((side, side), resize, mean, std, transforms.interpolation.value)
    side = options["input_size"]
    if side is not None:
        view = replace(view, size=(side, side), resize=round(side / view.field_of_view))
    changes = {
        "resize": options["resize_size"],
        "mean": _floats(options["mean"]),
        "std": _floats(options["std"]),
        "interpolation": options["interpolation"],
    }
    return replace(view, **{key: value for key, value in changes.items() if value is not None})


def _floats(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values)
