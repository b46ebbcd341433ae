"""What `orxe predict` prints: a cascade's answers to images, as CSV or as JSON lines."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import CascadeFile, cascade_of, read_cascade
from orxe_plugins.cli import console
from orxe_plugins.cli.inputs import Inputs, Item, find_inputs, read_items
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.risks import remember_specs
from orxe_plugins.policies.selection import Selection
from orxe_plugins.tasks.task import Task, task_named
from orxe_plugins.util.progress import Progress

PREDICTION_HEAD = ("image", "answer", "confidence", "expert", "cost", "cost_unit")


@dataclass(frozen=True)
class PredictOptions:
    """How `orxe predict` answers.

    Attributes:
        asked: which policy is wanted.
        batch_size: images that are answered at once.
        as_json: JSON lines instead of CSV.
        out: a file instead of standard output.
        every: take each so many-th frame of a video.
        trust_changed: go on with weights that are not those which were recorded.
        trust: trust what building the experts runs and fetches, now and from now on.
    """

    asked: Selection
    batch_size: int = 64
    as_json: bool = False
    out: Path | None = None
    every: int = 1
    trust: bool = False
    trust_changed: bool = False


def print_predictions(folder: Path, named: Sequence[str], options: PredictOptions, progress: Progress) -> bool:
    """Answer images with a cascade; what cannot be read is named on standard error and left out.

    Args:
        folder: the cascade's.
        named: image files, folders, patterns and videos.
        options: how to answer.
        progress: shows how many files are done.

    Returns:
        Whether all that was named was answered.

    Raises:
        OrxeError: there is no such cascade or policy, or nothing could be read.
    """
    file = read_cascade(folder, trust=options.trust, trust_changed=options.trust_changed)
    if options.trust:
        remember_specs(file.specs)
    task = task_named(file.task)
    inputs = find_inputs(named)
    _say_what_is_left_out(inputs)
    if not inputs.files:
        raise OrxeError("no image to answer: name image files, folders, patterns or videos")
    cascade = cascade_of(file)
    cascade.set_preference(options.asked)
    answered = 0
    failed = len(inputs.missing)
    with _opened(options.out) as stream:
        write = _json_writer(stream) if options.as_json else _csv_writer(stream)
        teller = _Teller(file, cascade, task)
        for readable, unreadable in _batches(inputs, options, task.turns_images, progress):
            for item in unreadable:
                console.say(f"skipped {item.name}: {item.problem}")
            for row in teller.rows(readable):
                write(row)
            stream.flush()
            answered += len(readable)
            failed += len(unreadable)
    if not answered:
        raise OrxeError(f"none of the {len(inputs.files)} files is a readable image")
    if failed:
        console.say(f"{answered:,} images answered, {failed:,} could not be: see the lines that begin with skipped")
    return not failed


class _Teller:
    """Answers batches in rows that can be written."""

    def __init__(self, file: CascadeFile, cascade: Cascade, task: Task) -> None:
        self._cascade, self._task = cascade, task
        self._labels = file.labels or ()
        self._unit = file.table.cost_unit
        self._experts = [expert.name for expert in cascade.members]

    def rows(self, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """What is answered to each image."""
        if not items:
            return
        with torch.inference_mode():
            outputs, route = self._cascade.route([item.image for item in items])
        texts, values = self._task.describe(outputs), self._task.values(outputs)
        for item, text, value, expert, confidence, cost in zip(
            items, texts, values, route.expert.tolist(), route.confidence.tolist(), route.cost.tolist(), strict=True
        ):
            place = {} if item.frame is None else {"frame": item.frame, "seconds": round(item.seconds or 0.0, 3)}
            yield {
                "image": str(item.source),
                **place,
                "answer": self._named(text, value),
                **value,
                "confidence": round(confidence, 4),
                "expert": self._experts[int(expert)],
                "cost": float(f"{cost:.6g}"),
                "cost_unit": self._unit,
            }

    def _named(self, text: str, value: dict[str, Any]) -> str:
        """The name of the class that was answered, where the cascade knows it."""
        index = value.get("class")
        known = isinstance(index, int) and index < len(self._labels)
        return (self._labels[index] if known else "") or text  # type: ignore[index]


def _batches(
    inputs: Inputs, options: PredictOptions, turn: bool, progress: Progress
) -> Iterator[tuple[list[Item], list[Item]]]:
    """Images that were read and images that could not be, in batches."""
    progress.start(len(inputs.files), "answering")
    good: list[Item] = []
    bad: list[Item] = []
    shown = 0
    for done, item in read_items(inputs.files, options.every, turn):
        (good if item.image is not None else bad).append(item)
        if len(good) == options.batch_size:
            yield good, bad
            good, bad = [], []
        if done > shown:
            progress.advance(done - shown)
            shown = done
    yield good, bad
    progress.advance(len(inputs.files) - shown)


def _say_what_is_left_out(inputs: Inputs) -> None:
    for reason in inputs.missing:
        console.say(f"skipped {reason}")
    for note in inputs.notes:
        console.say(note)


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """The stream to write to. Names of files that are no valid text are written as they are."""
    if out is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="surrogateescape")
        yield sys.stdout
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            yield stream
    except OSError as error:
        raise OrxeError(f"--out {out} cannot be written: {error.strerror or error}") from error


def _csv_writer(stream: TextIO) -> Any:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(PREDICTION_HEAD)

    def write(row: dict[str, Any]) -> None:
        image = f"{row['image']}#{row['frame']}" if "frame" in row else row["image"]
        cells = [row[key] for key in PREDICTION_HEAD[1:]]
        writer.writerow([image, cells[0], f"{cells[1]:.4f}", cells[2], f"{cells[3]:.6g}", cells[4]])

    return write


def _json_writer(stream: TextIO) -> Any:
    def write(row: dict[str, Any]) -> None:
        # The boxes of an image say all that its text does.
        kept = {key: value for key, value in row.items() if key != "answer" or "objects" not in row}
        stream.write(json.dumps(kept, ensure_ascii=False) + "\n")

    return write
