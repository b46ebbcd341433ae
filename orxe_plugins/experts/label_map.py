"""LabelMap: what the labels of a model are called in a label space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.labels import match_labels


@dataclass(frozen=True, eq=False)
class LabelMap:
    """From the labels of one model to those of a label space; it is never changed.

    Attributes:
        names: label names of the space.
        index: position in ``names`` of each label of the model, -1 for a dropped one, int64; None: the labels of the
            model are those of the space.
    """

    names: tuple[str, ...]
    index: Tensor | None = None

    @classmethod
    def between(
        cls,
        own: Sequence[str],
        names: Sequence[str],
        remap: Mapping[str, str | None],
        *,
        allow_missing: bool,
        expert: str,
        allow_extra: bool = False,
    ) -> LabelMap:
        """The map by name and by ``remap``.

        Args:
            own: label names of the model.
            names: label names of the space.
            remap: what a label of the model is called in the space; None drops it.
            allow_missing: the space may have labels that the model does not know.
            expert: what errors call the model.
            allow_extra: the space may lack labels of the model; they are dropped.

        Raises:
            OrxeError: labels are left over on either side (see :func:`orxe_plugins.detection.labels.match_labels`).
        """
        index = match_labels(
            own,
            names,
            remap,
            allow_extra=allow_extra,
            allow_missing=allow_missing,
            given=f"the labels of expert {expert!r}",
            wanted="the labels asked for",
        )
        return cls(tuple(names), None if tuple(own) == tuple(names) else torch.from_numpy(index))

    def of(self, detections: Detections) -> Detections:
        """The model's detections in the label space, without those of dropped labels."""
        return detections if self.index is None else detections.relabelled(self.index, self.names)
