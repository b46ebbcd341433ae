"""Multiply-accumulate operations of a model, counted once and remembered on disk. 1 MAC = 2 FLOPs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from pathlib import Path
from pickle import PicklingError
from typing import Any

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from orxe_plugins.util.files import write_json

_LOGGER = logging.getLogger(__name__)
CACHE_VARIABLE = "ORXE_CACHE"
#: height and width of the image that detectors are counted on: the most frequent ones in COCO
EXAMPLE_SIZE = (480, 640)
# What _plain_attention switches belongs to the whole process: two threads must not switch it back for one another.
_COUNTING = threading.RLock()


def count_macs(module: nn.Module, view: Any) -> int:
    """MACs that ``module`` spends on one sample.

    Matrix products, convolutions and attention are counted, as in the papers' tables; element-wise
    work is not. A model that takes one tensor is counted by shapes alone, without computing
    anything, unless its control flow looks at values; any other one runs once.

    Args:
        module: the model; run in evaluation mode.
        view: its input for one sample: a tensor (1, ...) or anything that it can be called with.

    Returns:
        MACs per sample. Papers often print them as "FLOPs".
    """
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    with _COUNTING:
        modes = [(part, part.training) for part in module.modules()]
        module.eval()
        try:
            with torch.no_grad(), _plain_attention():
                flops = _count_flops(module, view)
        finally:
            for part, training in modes:
                part.training = training
    samples = view.shape[0] if isinstance(view, Tensor) else 1
    return flops // (2 * samples)


def _count_flops(module: nn.Module, view: Any) -> int:
    if isinstance(view, Tensor):
        try:
            shapes = _without_values(module)
            with FlopCounterMode(display=False) as counter:
                shapes(view.to("meta"))
            return counter.get_total_flops()
        except (RuntimeError, TypeError, PicklingError) as error:
            _LOGGER.debug("%s cannot be counted by shapes alone, running it: %s", type(module).__name__, error)
    with FlopCounterMode(display=False) as counter:
        module(view)
    return counter.get_total_flops()


def _without_values(module: nn.Module) -> nn.Module:
    """A copy of a model whose weights have shapes alone: the model itself may run in another thread meanwhile."""
    memo: dict[int, Any] = {}
    for value in chain(module.parameters(), module.buffers()):
        empty = value.detach().to("meta")
        memo[id(value)] = nn.Parameter(empty, requires_grad=False) if isinstance(value, nn.Parameter) else empty
    return deepcopy(module, memo)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as matrix products: the counter does not see inside of every fused kernel.

    On a CPU it misses scaled_dot_product_attention's flash kernel and the whole fast path of
    nn.MultiheadAttention: 11.3 instead of 17.6 GMACs for torchvision's vit_b_16.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


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
