"""RecordOptions: how a data set is recorded."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.records.augment import Augmentation

INPUT_MODES = ("originals", "tensor")
#: what keyword arguments of ``record`` were called in version 0.1
_OLD_NAMES = {"path": "input_mode"}


@dataclass(frozen=True)
class RecordOptions:
    """How a data set is recorded, beside the experts and the task.

    Attributes:
        input_mode: "originals" hands every expert a list of B original images; "tensor" hands all of them
            one tensor (B, C, H, W), as frameworks hand it to a cascade.
        input_view: for "tensor": the view that the tensor is made by (``Cascade.input_view``).
        keep: how much of the outputs is kept, see :meth:`orxe_plugins.tasks.Task.assess`; by default the task's
            ``default_keep``.
        features: also keep what ranking gates are trained on, see :func:`load_gate_inputs`.
        augment: changes every image before it is handed over.
        seed: of the augmentation; together with a sample's id it settles the random numbers.
        batch_size: samples per batch; batches do not go across shards.
        shard_size: samples per shard; by default 256, and more for very large data sets.
        workers: threads that load images; by default one per core and at most 8.
        cost_unit: unit of the experts' costs.
        fresh: where the folder holds other records than those asked for, remove them and record again: those of an
            expert that has changed, or all of them if they are of another data set or were recorded otherwise. Other
            records stay.
        fresh_all: record these experts again in every case.
        plugin: fingerprint of the Python file that defines the task or a confidence; another one is another expert.

    Raises:
        OrxeError: a value is out of range, or two contradict each other.
    """

    input_mode: str = "originals"
    input_view: ImageView | None = None
    keep: str | None = None
    features: bool = False
    augment: Augmentation | None = None
    seed: int = 0
    batch_size: int = 64
    shard_size: int | None = None
    workers: int | None = None
    cost_unit: str = "GMACs"
    fresh: bool = False
    fresh_all: bool = False
    plugin: str | None = None

    def __post_init__(self) -> None:
        if self.input_mode not in INPUT_MODES:
            raise OrxeError(f"input_mode is {self.input_mode!r}: expected one of {', '.join(INPUT_MODES)}")
        if self.input_mode == "tensor" and self.input_view is None:
            raise OrxeError("input_mode 'tensor' needs input_view=, such as a cascade's input_view")
        if self.input_mode == "originals" and self.input_view is not None:
            raise OrxeError("input_mode 'originals' makes no input tensor: leave input_view out")
        for name in ("batch_size", "shard_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OrxeError(f"{name} is {value!r}: expected at least 1")


def with_old_arguments(options: RecordOptions, old: Mapping[str, Any]) -> RecordOptions:
    """Options with the keyword arguments of version 0.1 among them, which warn.

    Raises:
        OrxeError: there is no such option.
    """
    if not old:
        return options
    known = [field.name for field in fields(RecordOptions)]
    renamed = {_OLD_NAMES.get(name, name): value for name, value in old.items()}
    for name in renamed:
        if name not in known:
            raise unknown("option of record", name, known)
    listed = ", ".join(f"{name}=" for name in renamed)
    warnings.warn(
        f"record(..., {', '.join(f'{name}=' for name in old)}) is deprecated and goes in version 0.3: "
        f"write record(..., options=RecordOptions({listed}))",
        DeprecationWarning,
        stacklevel=3,
    )
    return replace(options, **renamed)
