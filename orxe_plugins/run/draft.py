"""`orxe init`: a recipe with comments, out of experts and data."""

from __future__ import annotations

import contextlib
import json
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError, OrxeWarning
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.views import shown_view
from orxe_plugins.run.described import class_sentence
from orxe_plugins.run.draft_data import DraftData
from orxe_plugins.run.draft_experts import Draft
from orxe_plugins.run.recipe_folders import default_name
from orxe_plugins.tasks.task import Task, task_named
from orxe_plugins.util.files import folder_name
from orxe_plugins.util.wording import plain

#: what is easily forgotten of an expert
_VIEW_HINTS = {
    "classification": "Of each is said what it sees of an image. If it was trained otherwise, change that by its "
    "options: mean, std, interpolation, crop_pct, input_size, pad_type (timm), or resize_size (torchvision).",
    "detection": "The same model at another size of images is another expert: options: {imgsz: 320} (Ultralytics).",
}
#: why a recipe has a key ``classes``
_CLASSES = {
    "data": "experts know labels that the data has not: the cascade answers in those of the data (classes: data)",
    "intersect": "the experts do not know all labels of the data: only those that all know count (classes: intersect)",
}
_NAME = "\0"  # stands for an expert's name in what is said of it
_MORE = """\
# More keys that are often wanted; take away the "# " in front. All of them: docs/recipes.md
# classes: data                             # detectors that know more labels than the data has
# select_pool: {k: 2}                       # only the 2 experts that work best together
# cost: {kind: latency, batch_size: 32}     # milliseconds on this machine in place of GMACs
# promise: {max_drop: 0.01}                 # needs data.split.choose, such as 0.25
"""


@dataclass(frozen=True)
class RecipeDraft:
    """A new recipe.

    Attributes:
        text: the YAML file with its comments.
        notes: what the user should know before a run, in sentences.
    """

    text: str
    notes: tuple[str, ...]


def draft_recipe(experts: Sequence[Draft], data: DraftData, path: Path) -> RecipeDraft:
    """A recipe for some experts and a data set.

    Args:
        experts: cheapest first.
        data: the data set.
        path: where the recipe will be written; it gives the recipe its name.

    Raises:
        OrxeError: the experts are for another task than the data.
    """
    _check_kind(experts, data)
    classes = _classes_key(experts, data) if data.task == "detection" else "same"
    misfits = _misfits(experts, data.task, data.dataset) if classes == "same" else [_CLASSES[classes]]
    notes = [*data.remarks, *getattr(data.dataset, "notes", ()), *misfits]
    name, words = default_name(path.resolve()), shlex.quote(str(path))
    lines = [
        f"# Written by `orxe init` for {len(experts)} experts and {len(data.dataset):,} images. Next:",
        f"#   orxe check {words}    # what is there and missing, what it costs, how long it takes",
        f"#   orxe run {words}      # record, fit thresholds, report; results in runs/{folder_name(name)}",
        f"name: {_scalar(name)}",
        f"task: {data.task}",
        "",
        "data:",
        *_comments(class_sentence(data.dataset) or f"{len(data.dataset):,} images", "  "),
        *(line for note in notes for line in _comments(note, "  ")),
        f"  root: {_scalar(_placed(data.root, path))}",
        "  split: {fit: 0.5, seed: 0}    # this share is for fitting thresholds, the rest for the report",
        "",
        "experts:    # cheapest first",
        *_comments(_VIEW_HINTS.get(data.task, ""), "  "),
        *(line for draft in experts for line in _expert_lines(draft, path)),
        "",
        *([] if classes == "same" else [f"classes: {classes}    # see the note above", ""]),
        "preferences: {start: 0.0, stop: 1.0, step: 0.05}    # 0: only cost counts, 1: only what is right",
        "",
    ]
    return RecipeDraft("\n".join(lines) + "\n" + _MORE, tuple(notes))


def _check_kind(experts: Sequence[Draft], data: DraftData) -> None:
    wanted = {"classification": ClassifierExpert, "detection": DetectorExpert}.get(data.task)
    for draft in experts:
        if wanted is not None and not isinstance(draft.expert, wanted):
            kind = "a detector" if isinstance(draft.expert, DetectorExpert) else "no detector"
            raise OrxeError(
                f"expert {draft.spec.name!r} is {kind}, but {data.root} looks like data for {data.task}: take other "
                "experts or other data, or say what the data is for by --task"
            )


def _classes_key(experts: Sequence[Draft], data: DraftData) -> str:
    """The recipe's ``classes`` with which each detector fits the data: "same" where none has to give way."""
    detectors = [draft.expert for draft in experts if isinstance(draft.expert, DetectorExpert)]
    for choice in ("same", "data", "intersect"):
        with contextlib.suppress(OrxeError):
            _set_classes(detectors, choice)
            whole = data.dataset
            dataset = task_named(data.task).with_classes(whole, detectors) if choice == "intersect" else whole
            if not _misfits(experts, data.task, dataset):
                return choice
    _set_classes(detectors, "same")
    return "same"


def _set_classes(detectors: Sequence[DetectorExpert], choice: str) -> None:
    for expert in detectors:
        expert.classes = choice


def _misfits(experts: Sequence[Draft], kind: str, dataset: Dataset) -> list[str]:
    """What the task finds wrong or odd between each expert and the data."""
    task, found = task_named(kind), []
    counts = {draft.expert.num_classes for draft in experts if isinstance(draft.expert, ClassifierExpert)}
    if len(counts) > 1:
        found.append(f"the experts have different numbers of classes: {', '.join(map(str, sorted(counts)))}")
    told = [draft for draft in experts if draft.has_weights or isinstance(draft.expert, ClassifierExpert)]
    # Labels of another untrained model may not be its own.
    return found + _said_once([(str(draft.spec.name), text) for draft in told for text in _said(task, draft, dataset)])


def _said(task: Task, draft: Draft, dataset: Dataset) -> list[str]:
    """The error and the warnings of a task where it is to take an expert with a data set."""
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            task.prepare(draft.expert, dataset)
        except OrxeError as error:
            found.append(str(error))
    return found + [str(warning.message) for warning in caught if issubclass(warning.category, OrxeWarning)]


def _said_once(told: Sequence[tuple[str, str]]) -> list[str]:
    """Pairs of an expert's name and what is said of it, as sentences, none of them for each of several experts.

    >>> _said_once([("a", "'a' is large"), ("b", "'b' is large"), ("b", "all is well")])
    ["'a' is large (the same of 'b')", 'all is well']
    """
    alike: dict[str, list[str]] = {}
    for name, text in told:
        names = alike.setdefault(text.replace(repr(name), _NAME), [])
        names += [] if repr(name) in names else [repr(name)]
    return [
        text.replace(_NAME, first) + (f" (the same of {', '.join(others)})" if others and _NAME in text else "")
        for text, (first, *others) in alike.items()
    ]


def _expert_lines(draft: Draft, path: Path) -> list[str]:
    spec = draft.spec
    facts = [] if draft.cost is None else [f"{plain(draft.cost)} GMACs"]
    if isinstance(draft.expert, ClassifierExpert):
        facts.append(f"{draft.expert.num_classes:,} classes")
    elif isinstance(draft.expert, DetectorExpert):
        facts.append(f"{len(draft.expert.names):,} labels")
    if not draft.has_weights:
        facts.append("the first run downloads it")
    view = shown_view(draft.expert)
    lines = [*_comments(", ".join(facts), "  "), *_comments(f"sees {view}" if view else "", "  ")]
    lines.append(f"  - name: {_scalar(spec.name)}")
    lines.append(f"    address: {_scalar(spec.address)}")
    if spec.checkpoint is not None:
        place = spec.checkpoint if "://" in spec.checkpoint else _placed(Path(spec.checkpoint), path)
        lines.append(f"    checkpoint: {_scalar(place)}")
    if spec.options:
        lines.append(f"    options: {_flow(spec.options)}")
    return lines


def _placed(path: Path, recipe: Path) -> str:
    """A path by its way from the recipe where it lies below it, so that both can be moved together."""
    folder = recipe.resolve().parent
    path = Path(path)
    if path.is_absolute() and path.resolve().is_relative_to(folder) and path.resolve() != folder:
        return f"{{recipe}}/{path.resolve().relative_to(folder).as_posix()}"
    return str(path)


def _comments(text: str, indent: str, width: int = 110) -> list[str]:
    words, lines = text.split(), []
    while words:
        line = f"{indent}#"
        while words and (line.endswith("#") or len(line) + len(words[0]) < width):
            line += f" {words.pop(0)}"
        lines.append(line)
    return lines


def _flow(value: Any) -> str:
    """A value in YAML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A plain value in YAML: JSON's texts are YAML's, and safe whatever stands in them."""
    if isinstance(value, str) and value.isidentifier() and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


#: what YAML would not read as a text
_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf")
