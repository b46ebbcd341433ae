"""A detector behind `orxe serve`: whole images go there, boxes come back."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from orxe_plugins.data.images import to_pil
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.serving.far import FarExpertError, FarSide

#: images of one request; servers refuse more than some
_MOST = 16


class FarDetector(DetectorExpert):
    """A cascade of detectors, or one alone, that `orxe serve` answers with.

    In a cascade of its own it gives a framework's model the answers of the server: as Ultralytics' ``Results``,
    mmdetection's ``DetDataSample`` or torchvision's dicts.

    Args:
        name: the expert's name.
        far: the server's route ``/predict``.
        quality: of JPEG files; None sends PNG, which loses nothing.
        options: of :class:`~orxe_plugins.DetectorExpert`, the label ``names`` among them.

    Raises:
        OrxeError: ``quality`` is out of range.
    """

    def __init__(self, name: str, far: FarSide, *, quality: int | None = None, **options: Any) -> None:
        super().__init__(name, _Elsewhere(far.url), **options)
        if quality is not None and (not isinstance(quality, int) or not 1 <= quality <= 100):
            raise OrxeError(f"expert {name!r}: quality is {quality!r}: expected a number from 1 to 100")
        self._far, self._quality = far, quality
        self._label = {label: i for i, label in enumerate(self.names)}

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        """Detections of B original images, on the CPU.

        Raises:
            FarExpertError: there is no usable answer to one of them within the timeout.
        """
        end = time.monotonic() + self._far.manners.timeout
        images = list(batch)
        parts = (images[start : start + _MOST] for start in range(0, len(images), _MOST))
        return [found for part in parts for found in self._asked(part, end)]

    def _asked(self, images: Sequence[Any], end: float) -> list[Detections]:
        request = {"images": [self._text(image) for image in images], "outputs": True}
        answer = self._far.ask(request, len(images), end)
        try:
            answers = answer["answers"]
            errors = [one["error"] for one in answers if "error" in one]
            found = [] if errors else [self._read(one) for one in answers]
        except (KeyError, TypeError, ValueError, RuntimeError, OrxeError) as error:
            raise FarExpertError(f"{self._far.url} answered no boxes: {type(error).__name__}: {error}") from error
        if errors:
            raise FarExpertError(f"{self._far.url} answered an image by an error: {errors[0]}")
        if len(found) != len(images):
            raise FarExpertError(f"{self._far.url} gave {len(found)} answers to {len(images)} images")
        return found

    def _read(self, answer: Any) -> Detections:
        labels = [self._label_of(one["name"]) for one in answer["objects"]]
        boxes, scores = (torch.tensor(answer["outputs"][key], dtype=torch.float32) for key in ("boxes", "scores"))
        return Detections(boxes, scores, torch.tensor(labels, dtype=torch.int64), self.names)

    def _label_of(self, name: str) -> int:
        if name not in self._label:
            raise OrxeError(f"it answers with the label {name!r}, which is not among names")
        return self._label[name]

    def _text(self, image: Any) -> str:
        buffer = io.BytesIO()
        pixels = to_pil(image).convert("RGB")
        if self._quality is None:
            pixels.save(buffer, "PNG", compress_level=1)
        else:
            pixels.save(buffer, "JPEG", quality=self._quality)
        return base64.b64encode(buffer.getvalue()).decode()


class _Elsewhere(nn.Module):
    """A model that is not here; its address takes the place of weights in a fingerprint."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def get_extra_state(self) -> dict[str, Any]:
        return {"url": self._url}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing is loaded: the weights are elsewhere."""
