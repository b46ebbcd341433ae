"""ClassifierExpert: one view of an image in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from orxe_plugins.data.batch import Rows
from orxe_plugins.data.views import RESIZED_ON_DEVICES, ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Answers, Expert


class Pixels(dict[int, Tensor]):
    """Pixels of a batch's samples on a device, uint8 (C, H, W), by their places; other batches may take them along."""

    def taken(self, rows: Rows) -> Pixels:
        """Those of some of the samples, by their places among these."""
        return Pixels({k: self[row] for k, row in enumerate(rows.listed) if row in self})

    @staticmethod
    def joined(parts: Sequence[Pixels | None], sizes: Sequence[int]) -> Pixels:
        """Those of batches behind one another; None: there are none of a batch."""
        starts = np.cumsum([0, *sizes]).tolist()
        placed = zip(starts, parts, strict=False)
        return Pixels({start + k: one for start, part in placed for k, one in (part or {}).items()})


class ClassifierExpert(Expert):
    """An image classifier: one view of an image in, logits out.

    Args:
        view: what the model was trained to see.
        num_classes: number of classes C.

    Attributes:
        names: class names where they are known, else empty.
        synonyms: gives other names of each class, commas between them, where an adapter knows some.
        classes: one of ``label_space.CLASSES``: whether the expert is to answer in the classes of the data alone.
        columns: which of the model's logits :meth:`answers` gives; None: all of them.
        device_views: make views of original images on the model's device: their pixels are brought there once for all
            experts of a cascade that do so. False, the default, makes exactly the view that frameworks make, on the
            host; the other one differs from it by rounding (see :meth:`ImageView.from_pixels`).
    """

    def __init__(self, name: str, module: nn.Module, *, view: ImageView, num_classes: int, **options: Any) -> None:
        super().__init__(name, module, **options)
        self.view = view
        self.num_classes = num_classes
        self.names: tuple[str, ...] = ()
        self.synonyms: Callable[[], Sequence[str]] | None = None
        self.classes = "same"
        self.columns: Tensor | None = None
        self.device_views = False
        self._model_names: tuple[str, ...] | None = None

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of all the model's classes, whichever it answers in; empty where they are not known."""
        return self.names if self._model_names is None else self._model_names

    def answer_in(self, names: Sequence[str], places: Sequence[int]) -> None:
        """Answer in some of the model's classes from now on.

        Args:
            names: what the K classes are called.
            places: their numbers among the model's classes, K of them.

        Raises:
            OrxeError: a number is none of the model's classes, or the expert answers in some alone already.
        """
        if self.columns is not None and self.columns.tolist() != list(places):
            raise OrxeError(f"expert {self.name!r} answers in {self.num_classes} classes of its own already")
        if self.columns is None and not all(0 <= place < self.num_classes for place in places):
            raise OrxeError(f"expert {self.name!r} has {self.num_classes} classes, which are not all in {list(places)}")
        if self.columns is None:
            self._model_names = self.names
        self.columns = torch.tensor(list(places), dtype=torch.int64)
        self.names, self.num_classes = tuple(names), len(places)

    def answers(self, outputs: Any, context: BatchContext) -> Answers:
        """The logits of the classes asked for, and their confidence."""
        if self.columns is not None:
            if self.columns.device != outputs.device:
                self.columns = self.columns.to(outputs.device)  # once, not for each batch
            outputs = outputs.index_select(1, self.columns)
        return super().answers(outputs, context)

    @property
    def input_view(self) -> ImageView:
        """The view that float tensors show which the expert is handed alone: its own one."""
        return self.view

    @input_view.setter
    def input_view(self, view: ImageView) -> None:
        raise OrxeError(
            f"the input_view of expert {self.name!r} is its own view: hand it expert.view.from_tensor(batch, view), or "
            "make a Cascade with input_view=view"
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters; what is prepared of original images has it too."""
        kinds = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        return next(kinds, torch.float32)

    def prepare(self, batch: Any) -> Tensor:
        """The expert's view, float tensor (B, C, h, w).

        Args:
            batch: a float tensor (B, C, H, W) as ``view`` makes it, or original images: a list of PIL images or uint8
                arrays, or a uint8 tensor (B, C, H, W).
        """
        if _is_float(batch):
            return self.view.from_tensor(batch, self.view)
        if self._views_on_device:
            return self.view.from_pixels([self._brought(image) for image in batch]).to(self.dtype)
        return self.view.from_images(batch).to(self.device, self.dtype)

    def as_if_alone(self, batch: Any, context: BatchContext) -> Any:
        """Float tensors of the cascade's input view as tensors of the expert's own; original images stay."""
        shown = context.setup.input_view
        if _is_float(batch):
            return batch if shown is None else self.view.from_tensor(batch, shown)
        return self._brought_once(batch, context) if self._views_on_device else batch

    @property
    def _views_on_device(self) -> bool:
        return self.device_views and self.view.interpolation in RESIZED_ON_DEVICES

    def _brought_once(self, batch: Any, context: BatchContext) -> list[Tensor]:
        """The rows' pixels on the device, those that an earlier expert brought there included."""
        known = context.note(("pixels", self.device, self.view.channels), Pixels)
        rows = range(context.size) if context.rows is None else context.rows.tolist()
        for row, image in zip(rows, batch, strict=True):
            if row not in known:
                known[row] = self._brought(image)
        return [known[row] for row in rows]

    def _brought(self, image: Any) -> Tensor:
        """An image's pixels on the device, uint8 (C, H, W)."""
        if isinstance(image, Tensor) and image.dtype == torch.uint8 and image.shape[0] == self.view.channels:
            return image.to(self.device)
        return self.view.pixels_of(image).to(self.device)

    def example(self) -> Tensor:
        return torch.zeros((1, self.view.channels, *self.view.size), device=self.device, dtype=self.dtype)


def _is_float(batch: Any) -> bool:
    return isinstance(batch, Tensor) and batch.is_floating_point()
