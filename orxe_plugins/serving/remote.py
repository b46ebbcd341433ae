"""Experts that live elsewhere, as the adapter ``http:``: ``http://HOST:PORT/v2/models/NAME?num_classes=10``.

A classifier behind KServe's protocol v2, which KServe, Triton, MLServer and `orxe serve` speak. A camera can answer
what its own expert is sure of, and let the rest go to a larger model across the network. The far model sees the float
tensor (B, C, H, W) of the view that the options describe, and the first of its outputs, or the one that ``output``
names, is the logits (B, K).

Nothing is asked of the far side when the expert is loaded, so that a cascade can be loaded while it is cut off.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, check_known
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.policies.selection import check_number
from orxe_plugins.util.arguments import check_count
from orxe_plugins.util.trust import Risk

#: answers that may be other ones in a moment: too many requests, and gateways without a server behind them
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_OPTIONS = (
    "num_classes", "input_size", "resize", "mean", "std", "interpolation", "input", "output", "timeout", "retries",
    "rate", "cost",
)  # fmt: skip


class FarExpertError(OrxeError):
    """An expert that lives elsewhere did not answer: it is cut off, too slow, or refuses."""


@dataclass(frozen=True)
class Manners:
    """How the far side is asked.

    Attributes:
        timeout: seconds for a batch, with all its retries and with waiting for the rate.
        retries: how often a batch is asked again after a fault that may pass.
        rate: samples a second, at most; None for no limit.
    """

    timeout: float = 10.0
    retries: int = 2
    rate: float | None = None

    def __post_init__(self) -> None:
        check_number("timeout", self.timeout)
        check_count("retries", self.retries)
        check_number("rate", self.rate)
        if self.timeout <= 0 or (self.rate is not None and self.rate <= 0):
            raise OrxeError(f"timeout is {self.timeout:g} and rate {self.rate}: expected numbers above 0")


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
        self._url, self._classes, self._manners = f"{url.rstrip('/')}/infer", classes, manners
        self._input, self._output = names
        self._pace = _Pace(manners.rate)
        self._client: Any = None

    def forward(self, batch: Tensor) -> Tensor:
        """Logits (B, K) on the CPU.

        Raises:
            FarExpertError: there is no usable answer within the timeout.
        """
        if not len(batch):
            return torch.zeros((0, self._classes))
        end = time.monotonic() + self._manners.timeout
        return self._logits(self._asked(self._request(batch.detach().float().cpu()), len(batch), end), len(batch))

    def get_extra_state(self) -> dict[str, Any]:
        """What takes the place of weights in a fingerprint: where the model is."""
        return {"url": self._url}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing is loaded: the weights are elsewhere."""

    def __getstate__(self) -> dict[str, Any]:
        # A connection and a lock cannot be copied, and need not be.
        return {**self.__dict__, "_client": None, "_pace": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._pace = _Pace(self._manners.rate)

    def _request(self, batch: Tensor) -> dict[str, Any]:
        tensor = {"name": self._input, "shape": list(batch.shape), "datatype": "FP32", "data": batch.flatten().tolist()}
        return {"inputs": [tensor]}

    def _asked(self, request: dict[str, Any], size: int, end: float) -> Any:
        """The answer's JSON, asked for until ``end``."""
        httpx = _httpx()
        problem = "no answer"
        for attempt in range(self._manners.retries + 1):
            if attempt and not _wait(0.05 * 2**attempt, end):
                break
            if not self._pace.wait(size, end):
                problem = f"the rate of {self._manners.rate:g} samples a second leaves no room"
                break
            try:
                left = max(end - time.monotonic(), 1e-3)
                response = self._connection(httpx).post(self._url, json=request, timeout=left)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}".rstrip(": ")
                continue
            if response.status_code == 200:
                return self._read(response)
            problem = f"status {response.status_code}: {response.text[:200]}"
            if response.status_code not in _TRY_AGAIN:
                break
        raise FarExpertError(f"{self._url} did not answer within {self._manners.timeout:g} seconds ({problem})")

    def _read(self, response: Any) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise FarExpertError(f"{self._url} answered no JSON: {error}") from error

    def _logits(self, answer: Any, size: int) -> Tensor:
        try:
            outputs = {each["name"]: each for each in answer["outputs"]}
            found = outputs[self._output] if self._output else answer["outputs"][0]
            logits = torch.tensor(found["data"], dtype=torch.float32).reshape(found["shape"])
        except (KeyError, TypeError, IndexError, ValueError, RuntimeError) as error:
            raise FarExpertError(f"{self._url} answered no tensor {self._output or ''!r} of logits: {error}") from error
        if logits.shape != (size, self._classes):
            raise FarExpertError(
                f"{self._url} answered a tensor of shape {tuple(logits.shape)} to {size} samples: expected "
                f"{(size, self._classes)}; num_classes says how many classes the far model has"
            )
        return logits

    def _connection(self, httpx: Any) -> Any:
        if self._client is None:
            self._client = httpx.Client(follow_redirects=False)
        return self._client


class _Pace:
    """Lets so many samples a second through, to several threads."""

    def __init__(self, rate: float | None) -> None:
        self._rate, self._free, self._lock = rate, 0.0, threading.Lock()

    def wait(self, size: int, end: float) -> bool:
        """Whether ``size`` samples may go, after waiting for their turn; False if that would be after ``end``."""
        if self._rate is None:
            return True
        with self._lock:
            start = max(self._free, time.monotonic())
            if start > end:
                return False
            self._free = start + size / self._rate
        return _wait(start - time.monotonic(), end)


def _wait(seconds: float, end: float) -> bool:
    """Whether there is time left after waiting so long."""
    if time.monotonic() + seconds >= end:
        return False
    time.sleep(max(seconds, 0.0))
    return True


def load_expert(name: str, checkpoint: str | None = None, **options: Any) -> ClassifierExpert:
    """A classifier behind ``http:`` and ``name``; see :func:`load_from`."""
    return load_from("http", name, checkpoint, options)


def risks(name: str, options: Mapping[str, Any]) -> Iterator[Risk]:
    """What an expert elsewhere would do: images leave this machine, and what comes back is believed."""
    yield Risk.of_text(f"sends images to the address {name!r}", "far", name)


def view_of(name: str, **options: Any) -> ImageView:
    """The view that the options describe."""
    return _view(f"http:{name}", options)


def load_from(scheme: Literal["http", "https"], name: str, checkpoint: str | None, options: Any) -> ClassifierExpert:
    """A classifier that lives elsewhere.

    Args:
        scheme: how the far side is spoken to.
        name: the rest of the URL, from the two slashes on, as far as the model: ``//HOST:PORT/v2/models/NAME``.
        checkpoint: none; the weights are elsewhere.
        options: ``num_classes`` (needed), ``input_size`` (224), ``resize``, ``mean``, ``std`` and ``interpolation`` of
            the view that the model was trained for; ``input`` and ``output``, names of the model's tensors;
            ``timeout``, ``retries`` and ``rate`` (:class:`Manners`); ``cost``, in whatever unit the cascade counts (0).

    Raises:
        OrxeError: the URL is none, an option is unknown, or a value does not fit.
    """
    url = f"{scheme}:{name}"
    if not name.startswith("//") or len(name) < 3:
        raise OrxeError(f"expert address {url!r}: expected a URL, such as {scheme}://host:8000/v2/models/NAME")
    if checkpoint is not None:
        raise OrxeError(f"checkpoint {checkpoint!r} of expert {url!r}: the weights of an expert elsewhere are there")
    check_known(f"option of expert {url!r}", options, _OPTIONS)
    if "num_classes" not in options:
        raise OrxeError(f"expert {url!r}: give num_classes=, the number of classes that the far model answers in")
    classes = check_count("num_classes", options["num_classes"], 1)
    manners = Manners(**{key: options[key] for key in ("timeout", "retries", "rate") if key in options})
    model = FarModel(url, classes, manners, (options.get("input", "x"), options.get("output")))
    # What the far side computes costs its owner; what it costs here is for the caller to say.
    cost = options.get("cost", 0.0)
    check_number("cost", cost)
    return ClassifierExpert(url, model, view=_view(url, options), num_classes=classes, cost=float(cost))


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


def _httpx() -> Any:
    try:
        return importlib.import_module("httpx")
    except ImportError as error:
        raise OrxeError(
            'an http: expert needs httpx, which is not installed. Install it with\npip install "orxe-plugins[serve]"'
        ) from error
