"""Multiply-accumulate operations of a model, counted once and remembered on disk. 1 MAC = 2 FLOPs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import chain
from pathlib import Path
from pickle import PicklingError
from typing import Any, ClassVar

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from orxe_plugins.util.files import write_json

_LOGGER = logging.getLogger(__name__)
CACHE_VARIABLE = "ORXE_CACHE"
#: height and width of the image that detectors are counted on: the most frequent ones in COCO
EXAMPLE_SIZE = (480, 640)
_COUNTING = threading.RLock()


def count_macs(module: nn.Module, view: Any) -> int:
    """MACs that ``module`` spends on one sample.

    Matrix products, convolutions and attention are counted, as in the papers' tables; element-wise
    work is not. A model that takes one tensor is counted by shapes alone, without computing
    anything, unless its control flow looks at values; any other one runs once. What is counted is a copy: the model
    may run in other threads meanwhile.

    Args:
        module: the model; run in evaluation mode.
        view: its input for one sample: a tensor (1, ...) or anything that it can be called with.

    Returns:
        MACs per sample. Papers often print them as "FLOPs".
    """
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    with _COUNTING, torch.inference_mode(False):
        flops = _count_flops(module, view)
    samples = view.shape[0] if isinstance(view, Tensor) else 1
    return flops // (2 * samples)


def _count_flops(module: nn.Module, view: Any) -> int:
    if isinstance(view, Tensor):
        try:
            return _flops_of(_copy(module, lambda value: torch.empty_like(value, device="meta")), view.to("meta"))
        except (RuntimeError, TypeError, PicklingError) as error:
            _LOGGER.debug("%s cannot be counted by shapes alone, running it: %s", type(module).__name__, error)
    try:
        copy = _copy(module, lambda value: value.detach().clone())
        # What was made in inference mode cannot be computed with here.
        return _flops_of(copy, view.clone() if isinstance(view, Tensor) else view)
    except (RuntimeError, TypeError, PicklingError) as error:
        _LOGGER.debug("a copy of %s cannot be counted, running itself: %s", type(module).__name__, error)
        return _flops_of_itself(module, view)


def _copy(module: nn.Module, made: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of a model in evaluation mode, with other weights and buffers in place of its own."""
    memo: dict[int, Any] = {}
    for value in chain(module.parameters(), module.buffers()):
        other = made(value)
        # Where gradients are wanted, attention takes no path that the counter does not see inside of.
        wanted = value.is_floating_point()
        memo[id(value)] = nn.Parameter(other, requires_grad=wanted) if isinstance(value, nn.Parameter) else other
    return deepcopy(module, memo).eval()


def _flops_of(copy: nn.Module, view: Any) -> int:
    with torch.enable_grad(), _counter() as counter:
        copy(view)
    return counter.get_total_flops()


def _flops_of_itself(module: nn.Module, view: Any) -> int:
    modes = [(part, part.training) for part in module.modules()]
    if any(training for _, training in modes):
        module.eval()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), _counter() as counter:
            module(view)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for part, training in modes:
            part.training = training
    return counter.get_total_flops()


def _counter() -> FlopCounterMode:
    counter = FlopCounterMode(display=False, custom_mapping={_CPU_ATTENTION: _attention_flops})
    # Its own one hooks the modules of every thread.
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    return counter


_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def _attention_flops(query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **options: Any) -> int:
    """FLOPs of attention on a CPU, which torch's counter does not know, given the shapes of its arguments."""
    return sdpa_flop_count(query, key, value)


class _NoModules:
    """Stands in for what tells the counter which modules the operations belong to."""

    parents: ClassVar[set[str]] = {"Global"}

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def detector_macs(detector: nn.Module, key: Mapping[str, Any] | None = None) -> int:
    """MACs of a whole detector on one original image of ``EXAMPLE_SIZE``, from its preprocessing to its boxes.

    The image is noise, so that a region proposal network proposes regions: its head costs per proposal.

    Args:
        detector: is called with a list of one image, uint8 of shape (H, W, 3).
        key: what the figure depends on, see :func:`cached_macs`; None counts each time.
    """

    def count() -> int:
        image = np.random.default_rng(0).integers(0, 256, (*EXAMPLE_SIZE, 3), dtype=np.uint8)
        return count_macs(detector, [image])

    return count() if key is None else cached_macs(key, count)


def cached_macs(key: Mapping[str, Any], count: Callable[[], int]) -> int:
    """The result of ``count``: kept from an earlier call with the same key on this machine, or counted now.

    Args:
        key: everything that the figure depends on, as JSON values: versions, model, options, input size.
        count: counts the MACs.
    """
    text = json.dumps(key, sort_keys=True, default=str)
    path = cache_folder() / "macs" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    try:
        macs = json.loads(path.read_text(encoding="utf-8"))["macs"]
        if isinstance(macs, int):
            return macs
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not counted yet, or the file is of another kind: count
    macs = count()
    try:
        write_json(path, {"key": json.loads(text), "macs": macs})
    except OSError as error:
        _LOGGER.debug("cannot remember counted MACs in %s: %s", path, error)
    return macs


def cache_folder() -> Path:
    """Where counted figures are kept: ``ORXE_CACHE`` if it is set, else the user's cache folder for ``orxe``."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else user_cache_path("orxe", appauthor=False, opinion=False)
