"""A cascade on disk: a folder with ``cascade.json``, and trained gates beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.faults import check_on_error, in_words
from orxe_plugins.data.views import ImageView
from orxe_plugins.detection.calibration import calibration_from_dict
from orxe_plugins.errors import OrxeError, shortened
from orxe_plugins.experts.absent import AbsentExpert
from orxe_plugins.experts.checkpoints import is_package
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.label_space import ANY_SPACE, LabelSpace
from orxe_plugins.experts.outside import is_address
from orxe_plugins.experts.registry import load_experts
from orxe_plugins.experts.risks import FILE_OPTIONS, remember_specs
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.util.files import is_there, remove_leftovers, write_json
from orxe_plugins.util.inside import is_inside
from orxe_plugins.util.json_files import checked, read_json, values_of
from orxe_plugins.util.trust import Origin

SCHEMA_VERSION = 1
FILE_NAME = "cascade.json"


@dataclass(frozen=True)
class CascadeFile:
    """What ``cascade.json`` says.

    Attributes:
        specs: how to build each expert, cheapest first; checkpoint paths are absolute.
        table: the fitted policies.
        task: kind of task, such as "classification".
        input_view: the view of the one tensor that experts share, for classifiers.
        input_mode: what the experts were handed when they were recorded: "originals" or "tensor"; "path" in the file.
        labels: names of the classes that the cascade answers in, in their order, as they were settled when it was
            recorded or saved; None: those of the experts.
    """

    specs: tuple[ExpertSpec, ...]
    table: PolicyTable
    task: str = "classification"
    input_view: ImageView | None = None
    input_mode: str = "originals"
    labels: tuple[str, ...] | None = None

    def trusted(self) -> CascadeFile:
        """The same for a caller who trusts what building its experts runs and fetches."""
        return replace(self, specs=tuple(replace(spec, origin=None) for spec in self.specs))

    def with_any_weights(self) -> CascadeFile:
        """The same for a caller who knows that weights have changed since they were recorded."""
        return replace(self, specs=tuple(replace(spec, fingerprint=None) for spec in self.specs))

    @property
    def space(self) -> LabelSpace:
        """The labels that detectors are asked to answer in."""
        return ANY_SPACE if self.labels is None else LabelSpace(self.labels, resolved=True)


class _Content(BaseModel):
    """The keys of ``cascade.json``."""

    model_config = ConfigDict(extra="forbid")
    schema_version: int
    task: str
    path: str
    experts: list[ExpertSpec] = Field(min_length=1)
    input_view: dict[str, Any] | None = None
    labels: list[str] | None = Field(default=None, min_length=1)
    table: dict[str, Any]


def write_cascade(folder: str | Path, cascade: CascadeFile) -> Path:
    """Write ``folder/cascade.json``, in place by one rename.

    A checkpoint is named relative to the folder, so that a folder which holds both can be moved. What building the
    experts runs is trusted from now on, for this user, unless they came from a file that is not trusted.

    Returns:
        The file's path.
    """
    path = put_cascade(folder, cascade)
    remember_specs(cascade.specs)
    return path


def put_cascade(folder: str | Path, cascade: CascadeFile) -> Path:
    """The same without a look at what building the experts runs, which imports their frameworks."""
    folder = Path(folder).resolve()
    path = folder / FILE_NAME
    remove_leftovers(folder, "*.json")
    write_json(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            "task": cascade.task,
            "path": cascade.input_mode,
            "experts": [_written(spec, folder).to_dict() for spec in cascade.specs],
            "input_view": cascade.input_view.to_dict() if cascade.input_view else None,
            **({} if cascade.labels is None else {"labels": list(cascade.labels)}),
            "table": cascade.table.to_dict(),
        },
    )
    return path


def read_cascade(folder: str | Path, *, trust: bool = False, trust_changed: bool = False) -> CascadeFile:
    """Read a cascade's folder, its ``cascade.json``, or the folder of the run that made it, and check it.

    Nothing is run or fetched. An expert of it that would, or that has a file outside of the folder, can be built only
    if the caller trusts it, or has made or trusted the same before: see docs/security.md.

    Args:
        folder: see above.
        trust: the caller trusts all that building the experts runs and fetches.
        trust_changed: the caller goes on with weights that are not those which were recorded.

    Raises:
        OrxeError: there is no such file, it is not a cascade, or a newer version wrote it.
    """
    path = Path(folder)
    path = _file_in(path) if path.is_dir() else path
    if not path.is_file():
        raise OrxeError(f"no cascade at {str(folder)!r}: expected a folder with {FILE_NAME}, as `orxe run` writes it")
    label = f"{path} is not a readable cascade"
    with values_of(label):
        raw = read_json(path)
    _check_version(path, raw)
    content = checked(_Content, raw, label)
    with values_of(label):
        table = PolicyTable.from_dict(content.table)
        view = ImageView.from_dict(content.input_view) if content.input_view else None
        _check_experts(content.experts, label)
    origin = None if trust else Origin(str(path), _shared_folder(path.parent))
    with values_of(label):
        specs = tuple(replace(_read_files(spec, path.parent), origin=origin) for spec in content.experts)
    table.check_n_experts(len(specs))
    labels = None if content.labels is None else tuple(content.labels)
    file = CascadeFile(specs, table, content.task, view, content.path, labels)
    return file.with_any_weights() if trust_changed else file


def _file_in(folder: Path) -> Path:
    """The file of a cascade's folder; of a run's folder, which holds it as ``cascade/``, that one."""
    inner = folder / "cascade" / FILE_NAME
    return inner if inner.is_file() and not (folder / FILE_NAME).is_file() else folder / FILE_NAME


def same_sources(a: ExpertSpec, b: ExpertSpec, folder: Path) -> bool:
    """Whether two specs build the same expert, the classes that it answers in aside.

    Args:
        a, b: the specs.
        folder: the cascade's.
    """
    one, other = (_written(spec, folder.resolve()) for spec in (a, b))
    options = [{key: value for key, value in spec.options.items() if key != "answer_in"} for spec in (one, other)]
    return one.address == other.address and one.checkpoint == other.checkpoint and options[0] == options[1]


def _shared_folder(folder: Path) -> Path:
    """The folder that a cascade's files may lie in: its own, or that of the run that made it, with experts beside."""
    run = folder.resolve().parent
    made_by_run = folder.resolve().name == "cascade" and any(path.is_dir() for path in run.glob("records*"))
    return run if made_by_run else folder


def load_cascade(
    folder: str | Path,
    preference: float = 0.5,
    *,
    trust: bool = False,
    trust_changed: bool = False,
    on_error: str = "raise",
) -> Cascade:
    """The cascade of a folder with all its experts built, at a preference.

    The result takes original images or float tensors of its ``input_view``; the
    adapters make it a model of their framework.

    Args:
        folder: see :func:`read_cascade`.
        preference: 0 = only cost counts, 1 = only performance counts.
        trust, trust_changed: see :func:`read_cascade`.
        on_error: "best_available" leaves out experts that cannot be loaded, as long as there is one: samples that
            reach them go on to the next one, or keep the answer that they have, and their route says so. The cascade
            then routes with ``on_error="best_available"`` by default.

    Raises:
        OrxeError: there is no such cascade, an expert has other weights than when it was recorded, it does not fit, or
            building it would run code, fetch from an address or read outside of the folder, and the user has not
            trusted that.
    """
    file = read_cascade(folder, trust=trust, trust_changed=trust_changed)
    return cascade_of(file, preference, on_error=on_error)


def cascade_of(file: CascadeFile, preference: float = 0.5, *, trust: bool = False, on_error: str = "raise") -> Cascade:
    """The cascade that a file describes, with all its experts built, at a preference; see :func:`load_cascade`."""
    tolerant, lost = check_on_error(on_error) == "best_available", []

    def instead(expert: str | ExpertSpec, error: Exception) -> Expert:
        lost.append(error)
        return AbsentExpert(expert if isinstance(expert, str) else str(expert.name), in_words(error))

    specs = file.trusted().specs if trust else file.specs
    members = load_experts(specs, instead=instead if tolerant else None)
    if len(lost) == len(members):
        raise lost[0]
    cascade = Cascade(members, table=file.table, preference=preference, input_view=file.input_view, names=file.space)
    cascade.on_error = on_error
    return cascade


def _check_experts(specs: Sequence[ExpertSpec], label: str) -> None:
    """Raise for what only building an expert would find wrong: its address, its confidence and its calibration."""
    for spec in specs:
        parse_address(spec.address)
        for what, values in (("confidence", spec.confidence), ("calibration", spec.calibration)):
            kind = "" if values is None else values.get("kind", "")
            if not isinstance(kind, str):
                raise OrxeError(f"{label}: {what} of expert {spec.address!r} is of kind {shortened(kind)}")
        if not isinstance((spec.confidence or {}).get("file", ""), str):
            raise OrxeError(f"{label}: the gate of expert {spec.address!r} is no file: {shortened(spec.confidence)}")
        if spec.calibration is not None:
            calibration_from_dict(spec.calibration)


def _check_version(path: Path, raw: Any) -> None:
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise OrxeError(
            f"{path} has schema version {version}, this release reads up to {SCHEMA_VERSION}: "
            "upgrade with pip install -U orxe-plugins"
        )


def _written(spec: ExpertSpec, folder: Path) -> ExpertSpec:
    """The spec with its files named relative to the folder."""

    def relative(file: str) -> str:
        return Path(os.path.relpath(Path(file).resolve(), folder)).as_posix() if Path(file).exists() else file

    return _with_files(spec, relative, gate=relative)


def _read_files(spec: ExpertSpec, folder: Path) -> ExpertSpec:
    """The inverse: files relative to the folder by their full path; nothing outside of it is looked at for that."""
    root = os.path.realpath(folder)

    def absolute(file: str) -> str:
        return os.path.normpath(Path(root, file))

    def known(file: str) -> str:
        if is_package(file) or is_address(file):
            return file
        # A checkpoint may also be something that only its adapter knows.
        return absolute(file) if not is_inside(file, root) or is_there(Path(root, file)) else file

    return _with_files(spec, known, gate=absolute)


def _with_files(spec: ExpertSpec, place: Callable[[str], str], gate: Callable[[str], str]) -> ExpertSpec:
    """The spec with ``place(file)`` instead of every checkpoint that it names, and ``gate(file)`` of its gate."""
    confidence = dict(spec.confidence or {})
    if "file" in confidence:
        confidence["file"] = gate(confidence["file"])
    checkpoint = None if spec.checkpoint is None else place(spec.checkpoint)
    options = _placed(spec.options, place)
    return replace(spec, checkpoint=checkpoint, options=options, confidence=confidence or None)


def _placed(options: Mapping[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """Options with ``place(file)`` instead of every file that they name."""
    placed = dict(options)
    for key, value in options.items():
        if isinstance(value, Mapping):
            placed[key] = _placed(value, place)
        elif key in FILE_OPTIONS and isinstance(value, str):
            placed[key] = place(value)
    return placed
