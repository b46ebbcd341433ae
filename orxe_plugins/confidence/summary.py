"""An expert's output of any kind as a short vector: what a ranking gate sees of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import unknown

_TOP = 5
_BOXES = 10
_LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75], dtype=np.float32)
_COLUMNS = 20
_QUANTILES = (0.05, 0.25, 0.5, 0.75)


def of_logits(logits: Tensor) -> Tensor:
    """Of a classifier's logits (B, C): the largest log-probabilities, falling, and the entropy; (B, 6)."""
    log_p = torch.log_softmax(logits.float(), dim=1).clamp(min=-20)  # (B, C)
    top = log_p.topk(min(_TOP, log_p.shape[1]), dim=1).values
    entropy = torch.special.entr(log_p.exp()).sum(dim=1, keepdim=True)
    if top.shape[1] < _TOP:
        top = pad(top, (0, _TOP - top.shape[1]), value=-20.0)
    return torch.cat([top, entropy], dim=1)


def of_top_logits(logits: Tensor) -> Tensor:
    """Of a classifier's logits (B, C): :func:`of_top` of its most probable classes."""
    log_p = torch.log_softmax(logits.float(), dim=1)
    return of_top(log_p.topk(min(_TOP, log_p.shape[1]), dim=1).values)


def of_top(log_p: Tensor) -> Tensor:
    """Of log-probabilities (B, K) that fall along K, K at least 5 or all there are: (B, 9).

    The five largest, the logit of the largest, its distance to the second as probabilities and as logarithms, and the
    entropy, for which all others count as one class.
    """
    top = log_p[:, :_TOP].clamp(min=-20)
    if top.shape[1] < _TOP:
        top = pad(top, (0, _TOP - top.shape[1]), value=-20.0)
    p = top.exp()
    rest = (1 - p.sum(dim=1, keepdim=True)).clamp(min=0)
    logit = top[:, :1] - (1 - p[:, :1]).clamp(min=1e-7).log()
    apart, ratio = p[:, :1] - p[:, 1:2], top[:, :1] - top[:, 1:2]
    entropy = torch.special.entr(torch.cat([p, rest], dim=1)).sum(dim=1, keepdim=True)
    return torch.cat([top, logit, apart, ratio, entropy], dim=1)


def of_values(values: Tensor) -> Tensor:
    """Of a regressor's outputs (B, D): themselves."""
    return values.float().flatten(1)


def of_boxes(found: Sequence[Detections]) -> Tensor:
    """Of B images' detections, whose order does not matter: (B, 20).

    How many boxes lie above each of five scores, the ten highest scores, mean score, mean and
    spread of the boxes' size (logarithm of the side in pixels), number of labels, share of the
    most frequent label.
    """
    device = found[0].scores.device
    # NumPy, for these are many steps on few numbers, each of which costs torch twice as much.
    scores = torch.cat([one.scores for one in found]).cpu().numpy()  # (sum of K,)
    boxes = torch.cat([one.boxes for one in found]).cpu().numpy()  # (sum of K, 4)
    labels = torch.cat([one.labels for one in found]).cpu().numpy()  # (sum of K,)
    n, sizes = len(found), [len(one) for one in found]
    image = np.repeat(np.arange(n), sizes)  # (sum of K,)
    rows = np.zeros((n, _COLUMNS))
    level = np.searchsorted(_LEVELS, scores)  # how many levels each score is above
    at_level = np.bincount(image * (len(_LEVELS) + 1) + level, minlength=n * (len(_LEVELS) + 1)).reshape(n, -1)
    over = at_level[:, :0:-1].cumsum(axis=1)[:, ::-1]  # (B, 5)
    rows[:, :5] = np.log1p(over)
    for row, part in zip(rows, np.split(scores, np.cumsum(sizes)[:-1]), strict=True):
        best = np.sort(part)[: -_BOXES - 1 : -1]
        row[5 : 5 + len(best)] = best
    # Only boxes above the least level are looked at from here on.
    seen = level > 0
    if seen.any():
        rows[:, 15:] = _of_seen(scores[seen], boxes[seen], labels[seen], image[seen], over[:, 0].clip(min=1))
    return torch.from_numpy(rows).to(device, torch.float32)


def _of_seen(
    scores: np.ndarray, boxes: np.ndarray, labels: np.ndarray, image: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """Score, size and labels of S boxes of B images, whose number is in ``image`` (S,); (B, 5)."""
    n = len(count)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(image, values, minlength=n) / count

    side = np.log(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clip(min=1)) / 2  # (S,)
    mean_side = mean(side)
    spread = np.sqrt(mean((side - mean_side[image]) ** 2))
    kinds = int(labels.max()) + 1
    of_kind = np.bincount(image * kinds + labels, minlength=n * kinds).reshape(n, kinds)
    distinct, frequent = (of_kind > 0).sum(axis=1), of_kind.max(axis=1) / count
    return np.stack([mean(scores), mean_side, spread, np.log1p(distinct), frequent], axis=1)


def of_pixels(logits: Tensor) -> Tensor:
    """Of a segmenter's logits (B, C, H, W): mean and quantiles of the pixels' confidence, and entropy; (B, 6)."""
    log_p = torch.log_softmax(logits.float(), dim=1)  # (B, C, H, W)
    sure = log_p.amax(dim=1).exp().flatten(1)  # (B, H * W)
    entropy = -(log_p.exp() * log_p.clamp(min=-1e4)).sum(dim=1).flatten(1).mean(dim=1, keepdim=True)
    # quantile() takes no more than 16 million values: a thinned row says the same.
    thin = sure[:, :: max(1, sure.shape[1] // 65_536)]
    quantiles = thin.quantile(torch.tensor(_QUANTILES, device=sure.device), dim=1).T  # (B, 4)
    return torch.cat([sure.mean(dim=1, keepdim=True), quantiles, entropy], dim=1)


#: by the name that gates are saved with
SUMMARIES: dict[str, Callable[..., Tensor]] = {
    "logits": of_logits,
    "top": of_top_logits,
    "values": of_values,
    "boxes": of_boxes,
    "pixels": of_pixels,
}


def summary_named(name: str) -> Callable[..., Tensor]:
    """The summary called ``name``."""
    if name not in SUMMARIES:
        raise unknown("output summary", name, SUMMARIES)
    return SUMMARIES[name]
