"""Experts that live elsewhere, as the adapter ``http:``: ``http://HOST:PORT/v2/models/NAME?num_classes=10``.

A classifier behind KServe's protocol v2, which KServe, Triton, MLServer and `orxe serve` speak. A camera can answer
what its own expert is sure of, and let the rest go to a larger model across the network. The far model sees the float
tensor (B, C, H, W) of the view that the options describe, and the first of its outputs, or the one that ``output``
names, is the logits (B, K). A detector behind `orxe serve` is ``http://HOST:PORT/predict?names=[person,car]``.

Nothing is asked of the far side when the expert is loaded, so that a cascade can be loaded while it is cut off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, check_known
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.policies.selection import check_number
from orxe_plugins.serving.far import FarExpertError, FarSide, Manners
from orxe_plugins.serving.remote_detector import FarDetector
from orxe_plugins.util.arguments import check_count
from orxe_plugins.util.trust import Risk

_COMMON = ("timeout", "retries", "rate", "cost")
_OF_CLASSIFIERS = (
    "num_classes", "input_size", "resize", "mean", "std", "interpolation", "input", "output",
)  # fmt: skip
_OF_DETECTORS = ("names", "quality")


class FarModel(nn.Module):
    """A model behind KServe's protocol v2: a float tensor in, logits out.

    Args:
        url: of the model, such as ``http://host:8000/v2/models/resnet50``.
        classes: number of classes K.
        manners: timeout, retries and rate.
        names: what the input is called, and the output with the logits; None for the first one.
    """

    def __init__(self, url: str, classes: int, manners: Manners, names: tuple[str, str | None] = ("x", None)) -> None:
        super().__init__()
        self._far, self._classes = FarSide(f"{url.rstrip('/')}/infer", manners), classes
        self._input, self._output = names

    def forward(self, batch: Tensor) -> Tensor:
        """Logits (B, K) on the CPU.

        Raises:
            FarExpertError: there is no usable answer within the timeout.
        """
        if not len(batch):
            return torch.zeros((0, self._classes))
        end = time.monotonic() + self._far.manners.timeout
        return self._logits(self._far.ask(self._request(batch.detach().float().cpu()), len(batch), end), len(batch))

    def get_extra_state(self) -> dict[str, Any]:
        """What takes the place of weights in a fingerprint: where the model is."""
        return {"url": self._far.url}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing is loaded: the weights are elsewhere."""

    def _request(self, batch: Tensor) -> dict[str, Any]:
        tensor = {"name": self._input, "shape": list(batch.shape), "datatype": "FP32", "data": batch.flatten().tolist()}
        return {"inputs": [tensor]}

    def _logits(self, answer: Any, size: int) -> Tensor:
        try:
            outputs = {each["name"]: each for each in answer["outputs"]}
            found = outputs[self._output] if self._output else answer["outputs"][0]
            logits = torch.tensor(found["data"], dtype=torch.float32).reshape(found["shape"])
        except (KeyError, TypeError, IndexError, ValueError, RuntimeError) as error:
            raise FarExpertError(
                f"{self._far.url} answered no tensor {self._output or ''!r} of logits: {error}"
            ) from error
        if logits.shape != (size, self._classes):
            raise FarExpertError(
                f"{self._far.url} answered a tensor of shape {tuple(logits.shape)} to {size} samples: expected "
                f"{(size, self._classes)}; num_classes says how many classes the far model has"
            )
        return logits


def load_expert(name: str, checkpoint: str | None = None, **options: Any) -> Expert:
    """The expert behind ``http:`` and ``name``; see :func:`load_from`."""
    return load_from("http", name, checkpoint, options)


def risks(name: str, options: Mapping[str, Any]) -> Iterator[Risk]:
    """What an expert elsewhere would do: images leave this machine, and what comes back is believed."""
    yield Risk.of_text(f"sends images to the address {name!r}", "far", name)


def view_of(name: str, **options: Any) -> ImageView | None:
    """The view that the options describe; None for a detector, which is sent whole images."""
    return None if "names" in options else _view(f"http:{name}", options)


def load_from(scheme: Literal["http", "https"], name: str, checkpoint: str | None, options: Any) -> Expert:
    """A classifier or a detector that lives elsewhere.

    Args:
        scheme: how the far side is spoken to.
        name: the rest of the URL, from the two slashes on: of a classifier as far as the model,
            ``//HOST:PORT/v2/models/NAME``; of a detector ``//HOST:PORT/predict`` of `orxe serve`.
        checkpoint: none; the weights are elsewhere.
        options: ``timeout``, ``retries`` and ``rate`` (:class:`~orxe_plugins.serving.far.Manners`); ``cost``, in
            whatever unit the cascade counts (0). Of a classifier ``num_classes``, and ``input_size`` (224),
            ``resize``, ``mean``, ``std`` and ``interpolation`` of the view that the model was trained for; ``input``
            and ``output``, names of the model's tensors. Of a detector ``names``, a list of its labels, and
            ``quality``, 1 to 100, to send JPEG files that lose some detail instead of PNG.

    Raises:
        OrxeError: the URL is none, an option is unknown, or a value does not fit.
    """
    url = f"{scheme}:{name}"
    if not name.startswith("//") or len(name) < 3:
        raise OrxeError(f"expert address {url!r}: expected a URL, such as {scheme}://host:8000/v2/models/NAME")
    if checkpoint is not None:
        raise OrxeError(f"checkpoint {checkpoint!r} of expert {url!r}: the weights of an expert elsewhere are there")
    detects = "names" in options
    check_known(f"option of expert {url!r}", options, (*_COMMON, *(_OF_DETECTORS if detects else _OF_CLASSIFIERS)))
    manners = Manners(**{key: options[key] for key in ("timeout", "retries", "rate") if key in options})
    # What the far side computes costs its owner; what it costs here is for the caller to say.
    cost = options.get("cost", 0.0)
    check_number("cost", cost)
    if detects:
        names, quality = _names(url, options["names"]), options.get("quality")
        return FarDetector(url, FarSide(url, manners), names=names, quality=quality, cost=float(cost))
    if "num_classes" not in options:
        raise OrxeError(
            f"expert {url!r}: give num_classes=, the number of classes that the far model answers in; of a detector "
            "names=[...], its labels"
        )
    classes = check_count("num_classes", options["num_classes"], 1)
    model = FarModel(url, classes, manners, (options.get("input", "x"), options.get("output")))
    return ClassifierExpert(url, model, view=_view(url, options), num_classes=classes, cost=float(cost))


def _names(url: str, given: Any) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not names:
        raise OrxeError(f"expert {url!r}: names is {given!r}: expected a list of labels, as names=[person,car]")
    return tuple(str(name).strip() for name in names)


def _view(url: str, options: Any) -> ImageView:
    size = options.get("input_size", 224)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    given: dict[str, Any] = {key: tuple(options[key]) for key in ("mean", "std") if key in options}
    if "interpolation" in options:
        given["interpolation"] = options["interpolation"]
    try:
        return ImageView((int(height), int(width)), options.get("resize", int(min(height, width))), **given)
    except TypeError as error:
        raise OrxeError(f"expert {url!r}: its view cannot be made of {dict(options)}: {error}") from error
