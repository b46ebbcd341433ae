"""What `orxe predict` prints: a cascade's answers to images, as CSV or as JSON lines."""

from __future__ import annotations

import csv
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.faults import in_words
from orxe_plugins.cascade.file import CascadeFile, cascade_of, read_cascade
from orxe_plugins.cascade.stream_answer import StreamAnswer
from orxe_plugins.cli import console
from orxe_plugins.cli.inputs import Inputs, Item, find_inputs, read_items
from orxe_plugins.data.batch import batch_of
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
        on_error: what to do where an expert fails on an image, see :meth:`orxe_plugins.Cascade.stream`.
        timeout: seconds that an expert may take for a batch.
    """

    asked: Selection
    batch_size: int = 64
    as_json: bool = False
    out: Path | None = None
    every: int = 1
    trust: bool = False
    trust_changed: bool = False
    on_error: str = "raise"
    timeout: float | None = None


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
    answers = _Answers(cascade, inputs, options, task.turns_images, progress)
    with _opened(options.out) as stream:
        head = PREDICTION_HEAD if options.on_error == "raise" else (*PREDICTION_HEAD, "faults")
        write = _json_writer(stream) if options.as_json else _csv_writer(stream, head)
        teller = _Teller(file, cascade, task)
        for some in answers.batches():
            for row in teller.rows(some):
                write(row)
            stream.flush()
    answered, failed = answers.answered, answers.failed + len(inputs.missing)
    if not answered:
        raise OrxeError(f"none of the {len(inputs.files)} files is a readable image")
    if failed:
        console.say(f"{answered:,} images answered, {failed:,} could not be: see the lines that begin with skipped")
    if answers.marked:
        console.say(
            f"experts failed on {answers.marked:,} of the images answered: see the lines that begin with marked"
        )
    return not failed and not answers.marked


class _Teller:
    """Answers batches in rows that can be written."""

    def __init__(self, file: CascadeFile, cascade: Cascade, task: Task) -> None:
        self._task = task
        self._labels = file.labels or ()
        self._unit = file.table.cost_unit
        self._experts = [expert.name for expert in cascade.members]

    def rows(self, answers: Sequence[tuple[Item, StreamAnswer]]) -> Iterator[dict[str, Any]]:
        """What is answered to each image."""
        outputs = batch_of([answer.output for _, answer in answers])
        texts, values = self._task.describe(outputs), self._task.values(outputs)
        for (item, answer), text, value in zip(answers, texts, values, strict=True):
            place = {} if item.frame is None else {"frame": item.frame, "seconds": round(item.seconds or 0.0, 3)}
            faults = [f"{self._experts[fault.expert]}: {fault.message}" for fault in answer.faults]
            if faults:
                console.say(f"marked {item.name}: {'; '.join(faults)}")
            yield {
                "image": str(item.source),
                **place,
                "answer": self._named(text, value),
                **value,
                "confidence": round(answer.confidence, 4),
                "expert": self._experts[answer.expert],
                "cost": float(f"{answer.cost:.6g}"),
                "cost_unit": self._unit,
                **({"faults": faults} if faults else {}),
            }

    def _named(self, text: str, value: dict[str, Any]) -> str:
        """The name of the class that was answered, where the cascade knows it."""
        index = value.get("class")
        known = isinstance(index, int) and index < len(self._labels)
        return (self._labels[index] if known else "") or text  # type: ignore[index]


class _Answers:
    """What a cascade answers to images, while those that cannot be answered are named.

    Attributes:
        answered: how many were answered.
        failed: how many could not be.
        marked: how many of those that were answered an expert failed on.
    """

    def __init__(
        self, cascade: Cascade, inputs: Inputs, options: PredictOptions, turn: bool, progress: Progress
    ) -> None:
        self._cascade, self._inputs, self._options = cascade, inputs, options
        self._turn, self._progress = turn, progress
        #: images that are not answered yet, each with the number of files before it
        self._under_way: deque[tuple[int, Item]] = deque()
        self.answered = self.failed = self.marked = 0

    def batches(self) -> Iterator[list[tuple[Item, StreamAnswer]]]:
        """Images with their answers, in order."""
        options = self._options
        answers = self._cascade.stream(
            self._images(), options.batch_size, on_error=options.on_error, timeout=options.timeout
        )
        self._progress.start(len(self._inputs.files), "answering")
        shown = 0
        while some := list(islice(answers, options.batch_size)):
            places, items = zip(*(self._under_way.popleft() for _ in some), strict=True)
            self._progress.advance(places[-1] - shown)
            shown = places[-1]
            good = [(item, answer) for item, answer in zip(items, some, strict=True) if answer.error is None]
            for item, answer in zip(items, some, strict=True):
                if answer.error is not None:
                    self._skip(item, in_words(answer.error))
            self.answered += len(good)
            self.marked += sum(bool(answer.faults) for _, answer in good)
            if good:
                yield good
        self._progress.advance(len(self._inputs.files) - shown)

    def _images(self) -> Iterator[Any]:
        for before, item in read_items(self._inputs.files, self._options.every, self._turn):
            if item.image is None:
                self._skip(item, item.problem)
                continue
            # The stream holds the image for as long as an expert needs it.
            self._under_way.append((before, replace(item, image=None)))
            yield item.image

    def _skip(self, item: Item, reason: str) -> None:
        self.failed += 1
        console.say(f"skipped {item.name}: {reason}")


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


def _csv_writer(stream: TextIO, head: Sequence[str]) -> Any:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)

    def write(row: dict[str, Any]) -> None:
        image = f"{row['image']}#{row['frame']}" if "frame" in row else row["image"]
        cells = [row[key] for key in PREDICTION_HEAD[1:]]
        more = ["; ".join(row.get("faults", ()))] if "faults" in head else []
        writer.writerow([image, cells[0], f"{cells[1]:.4f}", cells[2], f"{cells[3]:.6g}", cells[4], *more])

    return write


def _json_writer(stream: TextIO) -> Any:
    def write(row: dict[str, Any]) -> None:
        # The boxes of an image say all that its text does.
        kept = {key: value for key, value in row.items() if key != "answer" or "objects" not in row}
        stream.write(json.dumps(kept, ensure_ascii=False) + "\n")

    return write
