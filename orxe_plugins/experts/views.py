"""What experts see of an image, in words: for checks, tables and reports."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert


def shown_view(expert: Expert) -> str:
    """What an expert sees of an image, in words; empty where that is not known."""
    if isinstance(expert, ClassifierExpert):
        return view_text(expert.view)
    own = getattr(expert, "view_in_words", None)
    if isinstance(own, str):
        return own
    side = getattr(expert, "imgsz", None)
    if isinstance(side, int):
        return f"the whole image in {side} px"
    example = expert.example()
    if isinstance(example, Tensor) and example.ndim >= 2:
        return f"the whole image in about {example.shape[-2]} x {example.shape[-1]} px"
    return ""


def view_text(view: ImageView) -> str:
    """A classifier's view in words.

    >>> view_text(ImageView((224, 224), 256, (0.5,) * 3, (0.5,) * 3, "bicubic"))
    '224 of 256 px, bicubic, mean 0.5, std 0.5'
    """
    height, width = view.size
    size = f"{height}" if height == width else f"{height} x {width}"
    squashed = " squashed" if view.squash else ""
    grey = ", grey" if view.channels == 1 else ""
    shown = f"{size} of {view.resize} px{squashed}{grey}, {view.interpolation}"
    return f"{shown}, mean {_numbers(view.mean)}, std {_numbers(view.std)}"


def _numbers(values: Sequence[float]) -> str:
    different = values if len(set(values)) > 1 else values[:1]
    return " ".join(f"{value:.3g}" for value in different)
