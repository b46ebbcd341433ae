"""Small pictures of samples, and the boxes that are drawn on them."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.reading import eight_bit
from orxe_plugins.report.content.behaviour import name_of
from orxe_plugins.report.gallery import Box

#: the longer side of a picture, in pixels: of one whose boxes are drawn, and of others
BOX_SIDE, SIDE = 160, 96
#: boxes that are drawn: those with at least this score, and at most so many of one expert
LEAST_SCORE, MOST_BOXES = 0.25, 10
BOXES_NOTE = (
    f"Boxes with a score of at least {100 * LEAST_SCORE:.0f} % are drawn, at most {MOST_BOXES} of each expert. Rest "
    "the pointer on a box to read its label and score."
)


@dataclass(frozen=True)
class SmallPicture:
    """A sample made small.

    Attributes:
        source: a JPEG as a data URI.
        width, height: its size in pixels.
        scale: (across, down): what sides of the sample are multiplied by.
    """

    source: str
    width: int
    height: int
    scale: tuple[float, float]


def small_picture(dataset: Dataset, place: int, side: int = SIDE) -> SmallPicture | None:
    """A small picture of a sample; None if the sample cannot be read.

    Args:
        dataset: the samples.
        place: which one.
        side: the longer side of the picture, in pixels; a small sample may come out smaller.
    """
    try:
        image = dataset.load(place)
        small = eight_bit(image).convert("RGB")
    except Exception:  # a report is no place to fail at a picture, whatever the data set raises or gives
        return None
    small.thumbnail((side, side))
    if max(small.size) < side // 2:
        # Small pictures are enlarged without blur, and cheaper than by the browser's own smoothing.
        factor = side // max(small.size)
        small = small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=75)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return SmallPicture(source, *small.size, (small.width / image.width, small.height / image.height))


class FoundBoxes:
    """The recorded boxes of N experts on M images that are sure enough to be drawn.

    Args:
        columns: ``boxes``, ``scores`` and ``labels`` of records.
        names: names of the labels.
    """

    def __init__(self, columns: Mapping[str, Any], names: Sequence[str]) -> None:
        self._columns, self._names = columns, names

    def count(self, expert: int, place: int) -> str:
        """The labels that an expert finds in an image, and how often; see :func:`counted`."""
        return counted(self._columns["labels"][expert, place][self._sure(expert, place)], self._names)

    def drawn(self, expert: int, place: int, picture: SmallPicture) -> tuple[Box, ...]:
        """The surest boxes of an expert in an image, in pixels of its small picture."""
        columns, (across, down) = self._columns, picture.scale
        found = []
        for k in self._sure(expert, place)[:MOST_BOXES]:
            left, top, right, bottom = map(float, columns["boxes"][expert, place][k])
            xs = np.clip([left * across, right * across], 0, picture.width)
            ys = np.clip([top * down, bottom * down], 0, picture.height)
            name = name_of(int(columns["labels"][expert, place][k]), self._names)
            text = f"{name} {100 * float(columns['scores'][expert, place][k]):.0f} %"
            found.append(Box(round(xs[0], 1), round(ys[0], 1), round(xs[1] - xs[0], 1), round(ys[1] - ys[0], 1), text))
        return tuple(found)

    def _sure(self, expert: int, place: int) -> np.ndarray:
        """Which boxes of an image are sure enough, the surest first."""
        scores = np.asarray(self._columns["scores"][expert, place], dtype=np.float64)
        order = np.argsort(-scores, kind="stable")
        return order[scores[order] >= LEAST_SCORE]


def counted(labels: np.ndarray, names: Sequence[str]) -> str:
    """Labels as text, the most frequent first: "cat (2×), dog"; "nothing" where there is none."""
    found = sorted(Counter(map(int, labels)).items(), key=lambda each: (-each[1], each[0]))
    texts = [name_of(label, names) + ("" if count == 1 else f" ({count}×)") for label, count in found]
    return ", ".join(texts) or "nothing"
