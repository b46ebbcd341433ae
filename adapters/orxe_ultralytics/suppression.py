"""From a YOLO model's raw output to boxes, by Ultralytics' own settings and its own NMS."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.ops import xywh2xyxy

from orxe_plugins.detection.rows import BoxRows
from orxe_plugins.errors import OrxeError
from orxe_ultralytics.letterbox import Mode

#: with more places than this for each image, NMS is quicker where the model's answer is than on the host
_FEW_PLACES = 1024


@dataclass(frozen=True)
class DetectSettings:
    """How images are prepared and which boxes are kept, with the names that Ultralytics has for them.

    The defaults are those of its ``val``.

    Attributes:
        conf: boxes at or below this score are dropped, in [0, 1].
        iou: boxes of one class that overlap a better one by more are dropped, in [0, 1].
        max_det: at most this many boxes of an image are kept, the best ones.
        rect: pad images to the smallest rectangle instead of a square.
        agnostic_nms: boxes suppress overlapping ones of other classes too.
        multi_label: one place may hold boxes of several classes (val), or of its best one (predict).
        classes: label indices that are kept; None keeps all.
        mode: how the shorter side is rounded, see :mod:`orxe_ultralytics.letterbox`.
        clip: cut boxes at the image's border.
    """

    conf: float = 0.001
    iou: float = 0.7
    max_det: int = 300
    rect: bool = False
    agnostic_nms: bool = False
    multi_label: bool = True
    classes: tuple[int, ...] | None = None
    mode: Mode = "val"
    clip: bool = True

    def __post_init__(self) -> None:
        for name in ("conf", "iou"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise OrxeError(f"{name} is {value!r}: expected a number in [0, 1]")
        if isinstance(self.max_det, bool) or not isinstance(self.max_det, int) or self.max_det < 1:
            raise OrxeError(f"max_det is {self.max_det!r}: expected a whole number of at least 1")
        for name in ("rect", "agnostic_nms", "multi_label", "clip"):
            if not isinstance(getattr(self, name), bool):
                raise OrxeError(f"{name} is {getattr(self, name)!r}: expected true or false")

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """What an expert's address may set."""
        return tuple(field.name for field in fields(cls) if field.name not in ("classes", "mode"))


def candidates(prediction: Any, least: float, end2end: bool) -> Tensor:
    """A model's answer to B images without the places that score too little, on the host unless many are left.

    Most places of an answer hold no object, and NMS asks the device about every image anew: what is left of a batch is
    fetched once, and :func:`suppress` then gives the boxes that it would give of the whole answer.

    Args:
        prediction: what the model answers, see :func:`suppress`.
        least: places whose best score is not above it are left out.
        end2end: the head needs no NMS.

    Returns:
        (B, 4 + C, A) with fewer places, padded by ones without a score; (B, K, 6) of an end-to-end head.
    """
    answer: Tensor = prediction[0] if isinstance(prediction, (list, tuple)) else prediction
    if end2end or answer.shape[-1] == 6:
        return answer.cpu()
    found = (answer[:, 4:].amax(1) > least).nonzero()  # (K, 2): image and place, rising
    if answer.device.type != "cpu" and len(found) > _FEW_PLACES * len(answer):
        return answer
    rows = answer.transpose(1, 2)[found[:, 0], found[:, 1]]  # (K, 4 + C)
    fetched = torch.cat([found[:, :1].float(), rows], dim=1).cpu()
    image, rows = fetched[:, 0].long(), fetched[:, 1:].to(answer.dtype)
    counts = torch.bincount(image, minlength=len(answer))
    place = torch.arange(len(image)) - (counts.cumsum(0) - counts)[image]
    # Ultralytics knows an end-to-end head's answer by a last dimension of 6.
    longest = max(int(counts.max()) if len(counts) else 0, 7)
    padded = rows.new_zeros((len(answer), longest, answer.shape[1]))
    padded[image, place] = rows
    return padded.transpose(1, 2)


def suppress(prediction: Any, settings: DetectSettings, end2end: bool) -> list[Tensor]:
    """Boxes of B images, best first.

    Args:
        prediction: what the model answers: (B, 4 + C, A) with boxes xywh, or (B, K, 6) of an end-to-end
            head, or a tuple that begins with either; or :func:`candidates` of it for a score of ``conf`` or less.
        settings: which boxes are kept.
        end2end: the head needs no NMS.

    Returns:
        For each image float32 (K, 6): x1, y1, x2, y2 in pixels of the view, score, label.
    """
    kept: list[Tensor] = non_max_suppression(
        prediction,
        settings.conf,
        settings.iou,
        classes=None if settings.classes is None else list(settings.classes),
        agnostic=settings.agnostic_nms,
        multi_label=settings.multi_label,
        max_det=settings.max_det,
        # Ultralytics gives up after a while and leaves the batch's other images without boxes: on a busy machine, an
        # answer, and so records and routes, would depend on what else runs.
        max_time_img=float("inf"),
        end2end=end2end,
    )
    return kept


def queries_to_boxes(prediction: Any, settings: DetectSettings, size: int, num_classes: int) -> list[Tensor]:
    """Boxes of B images of an RT-DETR head, whose queries need no NMS; see :func:`suppress`.

    Args:
        prediction: (B, Q, 6) with boxes xywh in [0, 1], score and label, as present releases answer; (B, Q, 4 + C)
            with the scores of all classes, as older ones did; or a tuple that begins with either.
        settings: which boxes are kept.
        size: side of the square view in pixels.
        num_classes: number of classes C.
    """
    queries = prediction[0] if isinstance(prediction, (list, tuple)) else prediction
    if queries.shape[-1] == 4 + num_classes and num_classes != 2:
        scores, labels = queries[..., 4:].max(dim=-1, keepdim=True)
        queries = torch.cat([queries[..., :4], scores, labels.to(queries.dtype)], dim=-1)
    kept = []
    for rows in queries.float():  # (Q, 6)
        rows = torch.cat([xywh2xyxy(rows[:, :4]) * size, rows[:, 4:]], dim=1)
        wanted = rows[:, 4] > settings.conf
        if settings.classes is not None:
            wanted &= torch.isin(rows[:, 5].long(), torch.tensor(settings.classes, device=rows.device))
        rows = rows[wanted]
        kept.append(rows[rows[:, 4].argsort(descending=True, stable=True)][: settings.max_det])
    return kept


def usable(found: BoxRows) -> BoxRows:
    """Without boxes that are NaN or inside out, as half precision and quantised exports can give them."""
    boxes = found.rows
    return found.take(boxes.isfinite().all(dim=1) & (boxes[:, 2:4] >= boxes[:, :2]).all(dim=1))
