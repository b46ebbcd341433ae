"""A cascade on disk: a folder with ``cascade.json``, and trained gates beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.registry import ExpertSpec, load_expert
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.util.files import write_json

SCHEMA_VERSION = 1
FILE_NAME = "cascade.json"
#: options of an expert, or of an expert inside of its options, that name a file
_FILE_OPTIONS = ("checkpoint", "esn")


@dataclass(frozen=True)
class CascadeFile:
    """What ``cascade.json`` says.

    Attributes:
        specs: how to build each expert, cheapest first; checkpoint paths are absolute.
        table: the fitted policies.
        task: kind of task, such as "classification".
        input_view: the view of the one tensor that experts share, for classifiers.
        path: the path that the records were made along: "originals" or "tensor".
    """

    specs: tuple[ExpertSpec, ...]
    table: PolicyTable
    task: str = "classification"
    input_view: ImageView | None = None
    path: str = "originals"


class _ExpertModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    address: str
    name: str | None = None
    checkpoint: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    confidence: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    cost: float | None = None
    shared_cost: float = 0.0
    needs: str | None = None


class _CascadeModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    schema_version: int
    task: str
    path: str
    experts: list[_ExpertModel] = Field(min_length=1)
    input_view: dict[str, Any] | None = None
    table: dict[str, Any]


def write_cascade(folder: str | Path, cascade: CascadeFile) -> Path:
    """Write ``folder/cascade.json``, in place by one rename.

    A checkpoint is named relative to the folder, so that a folder which holds both can be moved.

    Returns:
        The file's path.
    """
    folder = Path(folder).resolve()
    specs = [_moved(spec, folder) for spec in cascade.specs]
    path = folder / FILE_NAME
    write_json(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            "task": cascade.task,
            "path": cascade.path,
            "experts": [spec.to_dict() for spec in specs],
            "input_view": cascade.input_view.to_dict() if cascade.input_view else None,
            "table": cascade.table.to_dict(),
        },
    )
    return path


def read_cascade(folder: str | Path) -> CascadeFile:
    """Read a cascade's folder, or its ``cascade.json``, and check it.

    Raises:
        OrxeError: there is no such file, it is not a cascade, or a newer version wrote it.
    """
    path = Path(folder)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise OrxeError(f"no cascade at {str(folder)!r}: expected a folder with {FILE_NAME}, as `orxe run` writes it")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw.get("schema_version") if isinstance(raw, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise OrxeError(
                f"{path} has schema version {version}, this release reads up to {SCHEMA_VERSION}: "
                "upgrade with pip install -U orxe-plugins"
            )
        model = _CascadeModel.model_validate(raw)
        table = PolicyTable.from_dict(model.table)
        view = ImageView.from_dict(model.input_view) if model.input_view else None
    except (json.JSONDecodeError, ValidationError, KeyError, TypeError) as error:
        raise OrxeError(f"{path} is not a readable cascade: {error}") from error
    specs = tuple(ExpertSpec(**_resolved(expert, path.parent)) for expert in model.experts)
    table.check_n_experts(len(specs))
    return CascadeFile(specs, table, model.task, view, model.path)


def load_cascade(folder: str | Path, preference: float = 0.5) -> Cascade:
    """The cascade of a folder with all its experts built, at a preference.

    The result takes original images or float tensors of its ``input_view``; an adapter's own
    front makes it look like a model of its framework.
    """
    file = read_cascade(folder)
    experts = [load_expert(spec) for spec in file.specs]
    return Cascade(experts, table=file.table, preference=preference, input_view=file.input_view)


def _moved(spec: ExpertSpec, folder: Path) -> ExpertSpec:
    """The spec with its files named relative to the folder."""
    confidence = dict(spec.confidence or {})
    if "file" in confidence:
        confidence["file"] = _relative(confidence["file"], folder)
    options = _with_files(spec.options, lambda file: _relative(file, folder))
    return replace(spec, checkpoint=_relative(spec.checkpoint, folder), options=options, confidence=confidence or None)


def _with_files(options: Mapping[str, Any], place: Callable[[str], Any]) -> dict[str, Any]:
    """Options with ``place(file)`` instead of every file that they name."""
    placed = dict(options)
    for key, value in options.items():
        if isinstance(value, Mapping):
            placed[key] = _with_files(value, place)
        elif key in _FILE_OPTIONS and isinstance(value, str):
            placed[key] = place(value)
    return placed


def _relative(checkpoint: str | None, folder: Path) -> str | None:
    if checkpoint is None or not Path(checkpoint).exists():
        return checkpoint
    return Path(os.path.relpath(Path(checkpoint).resolve(), folder)).as_posix()


def _resolved(expert: _ExpertModel, folder: Path) -> dict[str, Any]:
    values = expert.model_dump()
    checkpoint = values["checkpoint"]
    # A checkpoint may also be something that only its adapter knows, such as an installed package.
    if checkpoint is not None and (folder / checkpoint).exists():
        values["checkpoint"] = str((folder / checkpoint).resolve())
    values["options"] = _with_files(
        values["options"], lambda file: str((folder / file).resolve()) if (folder / file).exists() else file
    )
    gate = (values["confidence"] or {}).get("file")
    if gate is not None:
        values["confidence"]["file"] = str((folder / gate).resolve())
    return values
