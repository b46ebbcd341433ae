"""What `orxe predict` prints: a cascade's answers to image files."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from orxe_plugins.cascade.file import load_cascade, read_cascade
from orxe_plugins.cli import console
from orxe_plugins.data.datasets import BadSampleError, decode
from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.selection import Selection
from orxe_plugins.tasks.task import task_named

PREDICTION_HEAD = ("image", "answer", "confidence", "expert", "cost", "cost_unit")


def print_predictions(folder: Path, images: Sequence[Path], asked: Selection, batch_size: int) -> None:
    """Answer image files with a cascade, as CSV on standard output; unreadable files are named and left out."""
    file = read_cascade(folder)
    task = task_named(file.task)
    cascade = load_cascade(folder)
    cascade.set_preference(asked)
    names = [expert.name for expert in cascade.members]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(PREDICTION_HEAD)
    failed = 0
    for start in range(0, len(images), batch_size):
        readable = []
        for path in images[start : start + batch_size]:
            try:
                readable.append((path, decode(path.read_bytes())))
            except (BadSampleError, OSError) as error:
                failed += 1
                console.say(f"skipped {path}: {error}")
        if readable:
            with torch.inference_mode():
                outputs, route = cascade.route([image for _, image in readable])
            for (path, _), answer, expert, confidence, cost in zip(
                readable, task.describe(outputs), route.expert, route.confidence, route.cost, strict=True
            ):
                writer.writerow(
                    [path, answer, f"{confidence:.4f}", names[int(expert)], f"{cost:.6g}", file.table.cost_unit]
                )
    if failed == len(images):
        raise OrxeError(f"none of the {failed} files is a readable image")
