"""Example pictures: samples of each exit, and those on which the cascade and its last expert differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.detection.coco.ground_truth import GroundTruth
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.content.behaviour import class_names, name_of, right_or_wrong
from orxe_plugins.report.content.thumbnails import (
    BOX_SIDE,
    BOXES_NOTE,
    SIDE,
    FoundBoxes,
    SmallPicture,
    counted,
    small_picture,
)
from orxe_plugins.report.evidence import Evidence
from orxe_plugins.report.formats import short_names
from orxe_plugins.report.gallery import Gallery, Overlay, Thumbnail
from orxe_plugins.search.replay import Outcome, replay

#: pictures of each exit, and of each way to differ
PER_EXIT, PER_DIFFERENCE = 6, 12
#: exits with pictures: those that answer the most samples
MOST_EXITS = 6


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
        # Where scores are right or wrong, all differences are the same.
        first = places[np.lexsort((places, -outcome.confidence[places], -np.abs(own - last)[places]))]
        title = f"{plain if exact else graded} ({len(places):,} samples)"
        note = "The surest first." if exact else "The greatest differences first."
        found.append(shower.gallery(title, first[:PER_DIFFERENCE], note if len(places) else "There are none."))
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
        columns = evidence.records.predictions
        self.boxes = FoundBoxes(columns, self.classes) if {"boxes", "scores", "labels"} <= set(columns) else None

    def gallery(self, title: str, places: Sequence[int] | np.ndarray, note: str) -> Gallery:
        """Some samples; those whose picture cannot be read are counted in the note."""
        found = [self._thumbnail(place) for place in map(int, places)]
        shown = tuple(each for each in found if each is not None)
        gone = len(found) - len(shown)
        if gone:
            note += f" {gone} of {len(places)} pictures could not be read from the data set and are not shown."
        return Gallery(title, note, shown, "" if self.boxes is None else BOXES_NOTE)

    def _thumbnail(self, place: int) -> Thumbnail | None:
        picture = small_picture(self.dataset, place, SIDE if self.boxes is None else BOX_SIDE)
        if picture is None:
            return None
        name = str(self.evidence.records.sample_ids[place])
        overlays = self._overlays(place, picture)
        return Thumbnail(picture.source, name, self._lines(place), picture.width, picture.height, overlays)

    def _overlays(self, place: int, picture: SmallPicture) -> tuple[Overlay, ...]:
        """The boxes of who answered, and on top those of the last expert, where that is another one."""
        if self.boxes is None:
            return ()
        expert, last = int(self.outcome.expert[place]), len(self.names) - 1
        experts = {expert: ("answer", f"#{expert + 1} answered"), last: ("last", f"last expert, #{last + 1}")}
        if expert == last:
            experts = {last: ("answer", f"#{last + 1} answered")}
        return tuple(Overlay(*how, self.boxes.drawn(i, place, picture)) for i, how in experts.items())

    def _lines(self, place: int) -> tuple[str, ...]:
        expert = int(self.outcome.expert[place])
        lines = [f"#{expert + 1}, sure to {100 * float(self.outcome.confidence[place]):.0f} %"]
        said, last = self._said(expert, place), self._said(len(self.names) - 1, place)
        if said:
            lines.append(f"{'says' if self.boxes is None else 'finds'} {said}")
        if last and last != said:
            lines.append(f"last expert: {last}")
        return (*lines, *self._truth(place))

    def _said(self, expert: int, place: int) -> str:
        """The class that an expert gives a sample, or what it finds in it; empty where it is not recorded."""
        if self.boxes is not None:
            return self.boxes.count(expert, place)
        columns = self.evidence.records.predictions
        if not {"classes", "log_probs"} <= set(columns):
            return ""
        best = int(np.argmax(columns["log_probs"][expert, place]))
        return name_of(int(columns["classes"][expert, place][best]), self.classes)

    def _truth(self, place: int) -> list[str]:
        """What the data set says; none where it has no labels of this kind."""
        target, labels = self.dataset.targets[place], self.evidence.records.labels
        if isinstance(target, GroundTruth):
            return [f"has {counted(target.labels[~np.asarray(target.iscrowd)], self.classes)}"]
        if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu":
            return [f"is {name_of(int(labels[place]), self.classes)}"]
        return []
