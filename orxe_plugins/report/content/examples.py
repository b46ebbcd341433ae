"""Example pictures: samples of each exit, and those on which the cascade and its last expert differ."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.content.behaviour import class_names, name_of, right_or_wrong
from orxe_plugins.report.evidence import Evidence
from orxe_plugins.report.formats import short_names
from orxe_plugins.report.gallery import Gallery, Thumbnail
from orxe_plugins.search.replay import Outcome, replay

#: pictures of each exit, and of each way to differ
PER_EXIT, PER_DIFFERENCE = 6, 12
#: exits with pictures: those that answer the most samples
MOST_EXITS = 6
#: the longer side of a picture, in pixels
SIDE = 96


def example_galleries(evaluation: Evaluation, evidence: Evidence) -> tuple[Gallery, ...]:
    """Pictures of the chosen policy's answers; at most ``PER_EXIT * MOST_EXITS + 2 * PER_DIFFERENCE``."""
    if not evidence.images:
        return (Gallery("Pictures", "They were left out, as it was asked for."),)
    if evidence.dataset is None:
        return ()
    outcome = replay(evidence.records, evaluation.chosen.policy)
    shower = _Shower(evaluation, evidence, evidence.dataset, outcome)
    found = []
    answering = np.argsort(-outcome.exit_share, kind="stable")[:MOST_EXITS]
    for i in sorted(int(i) for i in answering if outcome.exit_share[i]):
        title = f"Answered by #{i + 1} {shower.names[i]} ({100 * outcome.exit_share[i]:.1f} %)"
        here = np.flatnonzero(outcome.expert == i)
        found.append(shower.gallery(title, spread(here, outcome.confidence[here], PER_EXIT), "From sure to unsure."))
    own, last = outcome.sample_score, evidence.records.score[-1].astype(np.float64)
    exact = right_or_wrong(evidence)
    ways = (
        (own < last, "The cascade is wrong, the last expert right", "The cascade scores less than the last expert"),
        (own > last, "The cascade is right, the last expert wrong", "The cascade scores more than the last expert"),
    )
    for differs, plain, graded in ways:
        places = np.flatnonzero(differs)
        widest = places[np.lexsort((places, -np.abs(own - last)[places], -outcome.confidence[places]))]
        title = f"{plain if exact else graded} ({len(places):,} samples)"
        found.append(shower.gallery(title, widest[:PER_DIFFERENCE], "The surest first." if len(places) else "None."))
    return tuple(found)


def spread(places: np.ndarray, confidence: np.ndarray, count: int) -> np.ndarray:
    """``count`` of some samples, evenly spread from the surest to the least sure.

    Args:
        places: their positions, (K,).
        confidence: of each, (K,).
        count: how many are wanted.
    """
    order = places[np.lexsort((places, -confidence))]
    if len(order) <= count:
        return order
    return order[np.linspace(0, len(order) - 1, count).round().astype(int)]


class _Shower:
    """Makes pictures with what is said of them."""

    def __init__(self, evaluation: Evaluation, evidence: Evidence, dataset: Dataset, outcome: Outcome) -> None:
        self.evidence, self.dataset, self.outcome = evidence, dataset, outcome
        self.names, self.classes = short_names(evaluation.names), class_names(evidence)

    def gallery(self, title: str, places: Sequence[int] | np.ndarray, note: str) -> Gallery:
        """Some samples; those whose picture cannot be read are counted in the note."""
        shown, gone = [], 0
        for place in map(int, places):
            source = thumbnail(self.dataset, place)
            if source is None:
                gone += 1
            else:
                shown.append(Thumbnail(source, str(self.evidence.records.sample_ids[place]), self._lines(place)))
        if gone:
            note += f" {gone} of {len(places)} pictures could not be read from the data set and are not shown."
        return Gallery(title, note, tuple(shown))

    def _lines(self, place: int) -> tuple[str, ...]:
        expert = int(self.outcome.expert[place])
        lines = [f"#{expert + 1}, sure to {100 * float(self.outcome.confidence[place]):.0f} %"]
        said, last = self._said(expert, place), self._said(len(self.names) - 1, place)
        if said:
            lines.append(f"says {said}")
        if last and last != said:
            lines.append(f"last expert: {last}")
        labels = self.evidence.records.labels
        if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu":
            lines.append(f"is {name_of(int(labels[place]), self.classes)}")
        return tuple(lines)

    def _said(self, expert: int, place: int) -> str:
        """The class that an expert gives a sample; empty where it is not recorded."""
        columns = self.evidence.records.predictions
        if not {"classes", "log_probs"} <= set(columns):
            return ""
        best = int(np.argmax(columns["log_probs"][expert, place]))
        return name_of(int(columns["classes"][expert, place][best]), self.classes)


def thumbnail(dataset: Dataset, place: int) -> str | None:
    """A small JPEG of a sample as a data URI; None if its picture cannot be read."""
    try:
        image = dataset.load(place)
    except Exception:  # a report is no place to fail at a picture, whatever the data set raises
        return None
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    if max(small.size) < SIDE // 2:
        # Small pictures are enlarged without blur, and cheaper than by the browser's own smoothing.
        factor = SIDE // max(small.size)
        small = small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
