"""Resizing and cropping a batch in one step, with positions that are correct to a fraction of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orxe_plugins.util.exporting import is_exporting


@dataclass(frozen=True)
class Span:
    """How one side is resized and cropped: ``start:stop`` becomes ``length`` pixels, ``size`` of which are kept.

    Lengths and positions are whole pixels, as fast resizing needs them.
    """

    start: int
    stop: int
    length: int
    first: int
    size: int


@lru_cache(maxsize=1024)
def fit_span(source: int, size: int, scale: float, shift: float) -> Span:
    """The span whose pixels lie nearest to their ideal places.

    Pixel i of the result ideally lies at ``source / 2 + (i + 0.5 - size / 2) * scale + shift``, in
    pixels of the source. A side resized to a whole number of pixels is off by up to a pixel. Leaving out one
    or two pixels at the ends gives enough choices to be off by less than half a pixel.

    Args:
        source: length of the side.
        size: length of the result.
        scale: pixels of the source per pixel of the result.
        shift: distance of the result's centre from the source's, in pixels of the source.

    Returns:
        The best span; the whole side, stretched, where the source shows less than the result should.
    """
    first = source / 2 + (0.5 - size / 2) * scale + shift
    last = first + (size - 1) * scale
    best, least = Span(0, source, size, 0, size), math.inf
    for before, after in sorted(product(range(3), repeat=2), key=sum):
        taken = source - before - after
        for length in (math.floor(taken / scale), math.ceil(taken / scale)):
            if length < size or taken <= 0:
                continue
            step = taken / length
            ideal = ((first + last) / 2 - before) / step - size / 2
            for begin in (math.floor(ideal), math.ceil(ideal)):
                begin = min(max(begin, 0), length - size)
                here = before + (begin + 0.5) * step
                error = max(abs(here - first), abs(here + (size - 1) * step - last))
                if error < least - 1e-6:
                    best, least = Span(before, source - after, length, begin, size), error
    return best


def resample(values: Tensor, rows: Span, columns: Span, interpolation: str) -> Tensor:
    """Resize and crop; antialiased when shrinking.

    Args:
        values: float tensor (B, C, H, W).
        rows, columns: what to do to H and to W.
        interpolation: nearest, bilinear or bicubic; lanczos is taken as bicubic.

    Returns:
        tensor (B, C, h, w) of the same dtype.
    """
    values = values[..., rows.start : rows.stop, columns.start : columns.stop]
    length = (rows.length, columns.length)
    # ONNX has no antialiased resize that agrees with torch's; it has a product of matrices.
    if tuple(values.shape[-2:]) != length and is_exporting():
        return _matrix(rows, interpolation, values) @ values @ _matrix(columns, interpolation, values).mT
    if tuple(values.shape[-2:]) != length:
        # float32: there are no antialiased filters for half precision on every device.
        wide = values.float()
        if interpolation == "nearest":
            wide = F.interpolate(wide, size=length, mode="nearest-exact")
        else:
            mode = "bilinear" if interpolation == "bilinear" else "bicubic"
            wide = F.interpolate(wide, size=length, mode=mode, antialias=True, align_corners=False)
        values = wide.to(values.dtype)
    return values[..., rows.first : rows.first + rows.size, columns.first : columns.first + columns.size]


def _matrix(span: Span, interpolation: str, like: Tensor) -> Tensor:
    weights = resize_weights(span, interpolation)
    return torch.tensor(weights, dtype=like.dtype, device=like.device)


@lru_cache(maxsize=256)
def resize_weights(span: Span, interpolation: str) -> np.ndarray:
    """The matrix (size, stop - start) that resizes and crops one side as :func:`resample` does."""
    taken = span.stop - span.start
    step = taken / span.length
    centre = (np.arange(span.first, span.first + span.size) + 0.5) * step  # (size,)
    if interpolation == "nearest":
        return np.eye(taken)[np.minimum(centre.astype(int), taken - 1)]
    kernel = _triangle if interpolation == "bilinear" else _cubic
    widen = max(step, 1.0)
    weights = kernel((np.arange(taken) + 0.5 - centre[:, None]) / widen)  # (size, taken)
    return weights / weights.sum(axis=1, keepdims=True)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.clip(1 - np.abs(x), 0, None)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Cubic convolution with a = -0.5, as Pillow and torch's antialiased bicubic use it."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
