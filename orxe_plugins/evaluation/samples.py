"""The samples that figures come from, and how their intervals are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orxe_plugins.errors import OrxeError
from orxe_plugins.records.records import Records
from orxe_plugins.util.arguments import check_count, check_real


@dataclass(frozen=True)
class Samples:
    """The samples that figures come from.

    Attributes:
        data: name of the data set; empty if it is not known.
        split: what the split is called, such as "reporting split".
        count: number of samples M.
        path: the way in which images reached the experts: "originals" or "tensor"; None if unknown.
        augment: the training-time augmentation that the records were made with; None is none.
        augment_known: whether the records say anything of augmentation.
        skipped: samples that were left out, as (id, reason).
        notes: what was left out or decided when the data was listed, in whole sentences.
        views: what each classifier sees of an image, in words, by its name.
    """

    data: str
    split: str
    count: int
    path: str | None = None
    augment: str | None = None
    augment_known: bool = False
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    views: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """Data set, split and size in few words, for titles of pictures."""
        return ", ".join(part for part in (self.data, self.split, f"{self.count:,} samples") if part)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "data": self.data,
            "split": self.split,
            "samples": self.count,
            "path": self.path,
            "augment": self.augment,
            "augment_known": self.augment_known,
            "skipped": [{"sample": sample, "reason": reason} for sample, reason in self.skipped],
            "notes": list(self.notes),
            "views": dict(self.views),
        }


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are made: samples are drawn again with replacement, the same ones for all figures.

    Attributes:
        resamples: number of draws.
        level: confidence level of the intervals.
        seed: seed of the draws.
    """

    resamples: int = 2000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("resamples", self.resamples, 1)
        check_count("seed", self.seed)
        check_real("level", self.level)
        if not 0 < self.level < 1:
            raise OrxeError(f"level is {self.level!r}: expected a number between 0 and 1, such as 0.95")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"method": "paired percentile bootstrap over samples", **self.__dict__}


def samples_of(records: Records, split: str) -> Samples:
    """What records say of where their samples come from."""
    known = records.details
    augment = known.get("augment")
    dataset, views = known.get("dataset") or "", known.get("views") or {}
    return Samples(
        data=str(dataset.get("name", "") if isinstance(dataset, Mapping) else dataset),
        split=split,
        count=len(records),
        path=known.get("path"),
        # The records name their augmentation, or only say that there was one.
        augment=None if not augment else "yes" if augment is True else str(augment),
        augment_known="augment" in known,
        skipped=tuple((str(sample), str(reason)) for sample, reason in records.skipped),
        notes=tuple(map(str, dataset.get("notes", ()))) if isinstance(dataset, Mapping) else (),
        views=tuple((name, str(views[name])) for name in records.names if name in views),
    )
