"""Experts of a new recipe, out of what a user types: addresses, model names, files of weights."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import adapter_names, load_adapter, load_expert, load_untrained
from orxe_plugins.experts.spec import ExpertSpec, adapter_in, parse_address
from orxe_plugins.util.yaml_files import read_yaml

_WEIGHTS = (".pth", ".pt", ".safetensors", ".bin", ".tar", ".ckpt")
#: what Ultralytics exports to, and its descriptions of models
_ULTRALYTICS = (".onnx", ".torchscript", ".engine", ".mlpackage", ".tflite", ".pb", ".mnn", ".yaml", ".yml")
#: names of files that say nothing of the model in them
_PLAIN_STEMS = re.compile(
    r"(model|weights?|checkpoint|best|last|pytorch_model|state_dict|final|latest|epoch|\d+|[-_. ])+"
)
#: folders in which training scripts put such files
_PLAIN_FOLDERS = ("weights", "checkpoints", "ckpt", "models")
_HOW_TO_SAY = (
    "say which by MODEL@FILE, as in timm:resnet18@{file}, or by --arch timm:resnet18 (options: MODEL?img_size=96)"
)


@dataclass(frozen=True)
class Draft:
    """An expert of a new recipe.

    Attributes:
        spec: how it is built.
        expert: the expert itself, built once to see that it works; without its weights where these are not here.
        has_weights: whether its weights are here.
        cost: GMACs of one sample; None if they cannot be counted.
    """

    spec: ExpertSpec
    expert: Expert = field(repr=False)
    has_weights: bool
    cost: float | None


def draft_experts(named: Sequence[str], archs: Sequence[str] = ()) -> list[Draft]:
    """The experts that a user named, cheapest first, each with a name of its own.

    Args:
        named: addresses (``timm:resnet18``), names of timm models, files of weights, ``MODEL@FILE``, or experts files.
        archs: models of the files of weights that do not say it themselves: one for all, or one for each in turn.

    Raises:
        OrxeError: something is neither, a file's model is not known, or an expert cannot be built.
    """
    if not named:
        raise OrxeError("no expert is named: give --experts, such as --experts resnet18 resnet50 or files of weights")
    waiting = list(archs)

    def arch_of(file: Path) -> str | None:
        if not waiting:
            return None
        return waiting[0] if len(archs) == 1 else waiting.pop(0)

    specs = [spec for text in named for spec in _specs(text, arch_of)]
    drafts = [_built(spec) for spec in _with_names(specs)]
    return sorted(drafts, key=lambda draft: (draft.cost is None, draft.cost or 0.0))


def _specs(text: str, arch_of: Any) -> list[ExpertSpec]:
    path = Path(text).expanduser()
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file() and "experts" in (read_yaml(path) or {}):
        from orxe_plugins.run.experts_file import read_experts_file

        return list(read_experts_file(path))
    place, query = _place_and_query(text)
    if place.is_file() or _is_model_folder(place):
        return [_of_file(place.resolve(), None, arch_of, query)]
    model, at, file = text.partition("@")
    behind, query = _place_and_query(file)
    if at and adapter_in(model) != "mmdet" and behind.exists():
        return [_of_file(behind.resolve(), model, arch_of, query)]
    if file.startswith("package:"):
        return [ExpertSpec(model if adapter_in(model) in adapter_names() else f"timm:{model}", checkpoint=file)]
    if adapter_in(text) in adapter_names():
        return [ExpertSpec(text)]
    if place.suffix.lower() in _WEIGHTS and (len(place.parts) > 1 or place.suffix != ".pt"):
        raise OrxeError(f"expert {text!r}: there is no such file")
    # Ultralytics downloads its own files by their bare names.
    return [ExpertSpec(f"ultralytics:{text}" if place.suffix == ".pt" else f"timm:{text}")]


def _place_and_query(text: str) -> tuple[Path, str]:
    """A path and the options behind it, as in ``yolo.pt?imgsz=320``; a file may have a question mark in its name."""
    whole = Path(text).expanduser()
    if whole.exists():
        return whole, ""
    place, _, query = text.partition("?")
    return Path(place).expanduser(), query


def _is_model_folder(path: Path) -> bool:
    """Whether a folder holds a model: one that timm or Ultralytics wrote."""
    return path.is_dir() and ((path / "config.json").is_file() or path.name.endswith(("_model", ".mlpackage")))


def _of_file(path: Path, model: str | None, arch_of: Any, query: str = "") -> ExpertSpec:
    """The expert of a file or folder of weights.

    Args:
        path: the file or folder.
        model: an address, or the name of a timm model; None where the user did not say it.
        arch_of: gives the model that the user says elsewhere.
        query: options that stood behind the file.
    """
    address, options = _with_options(model, query)
    if path.is_dir() and (path / "config.json").is_file():
        return ExpertSpec(f"timm:local-dir:{path}{options}")
    if path.is_dir() or path.suffix.lower() in _ULTRALYTICS or _is_of_ultralytics(path):
        return _of_ultralytics(path, options)
    if path.suffix.lower() not in _WEIGHTS:
        raise OrxeError(f"expert {str(path)!r}: expected a file of weights ({', '.join(_WEIGHTS)}) or a model's name")
    if model is None:
        address, options = _with_options(arch_of(path), query)
    adapter = adapter_in(address) or "timm"
    name = address.removeprefix(f"{adapter}:")
    loaded: Any = load_adapter(adapter)
    if hasattr(loaded, "recognise"):
        # Not all adapters' recognise takes options.
        given = [parse_address(f"{adapter}:_{options}")[2]] if options else []
        found = loaded.recognise(path, name or None, *given)
        if found is None:
            raise OrxeError(f"the model of {path} is not known by the file: {_HOW_TO_SAY.format(file=path.name)}")
        return ExpertSpec(f"{adapter}:{found[0]}{options}", checkpoint=str(path), options=found[1])
    return ExpertSpec(f"{adapter}:{name}{options}", checkpoint=str(path))


def _with_options(model: str | None, query: str) -> tuple[str, str]:
    """A model without its options, and the options that stand behind it and behind its file, as an address has them."""
    address, _, own = (model or "").partition("?")
    queries = "&".join(filter(None, (own, query)))
    return address, f"?{queries}" if queries else ""


def _of_ultralytics(path: Path, options: str) -> ExpertSpec:
    if "?" not in str(path):
        return ExpertSpec(f"ultralytics:{path}{options}")
    # A question mark begins the options of an address.
    return ExpertSpec(f"ultralytics:{path.name.replace('?', '')}{options}", checkpoint=str(path))


def _is_of_ultralytics(path: Path) -> bool:
    """Whether a file holds a whole model of Ultralytics, by the names of the classes in it; none of its code runs."""
    if path.suffix.lower() not in (".pt", ".pth"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            words = pickletools.genops(archive.read(member))
            return any(str(value).startswith("ultralytics.") for _, value, _ in words if isinstance(value, str))
    except (zipfile.BadZipFile, StopIteration, ValueError, OSError, KeyError):
        return False


def _built(spec: ExpertSpec) -> Draft:
    adapter, _, name = spec.address.partition("?")[0].partition(":")
    has_weights = (
        spec.checkpoint is not None or name.startswith("local-dir:") or (adapter != "timm" and Path(name).exists())
    )
    expert = load_expert(spec) if has_weights else load_untrained(spec)
    try:
        cost = expert.measure_cost() + expert.shared_cost
    except OrxeError:
        cost = None
    return Draft(spec, expert, has_weights, cost)


def _with_names(specs: Sequence[ExpertSpec]) -> list[ExpertSpec]:
    """The specs with short names, no two of them the same."""
    names: list[str] = []
    for spec in specs:
        name = wanted = spec.name or _short_name(spec)
        number = 1
        while name in names:
            number += 1
            name = f"{wanted}-{number}"
        names.append(name)
    return [replace(spec, name=name) for spec, name in zip(specs, names, strict=True)]


def _short_name(spec: ExpertSpec) -> str:
    _, _, name = spec.address.partition(":")
    name, _, query = name.partition("?")
    path = Path(spec.checkpoint or name)
    size = re.search(r"imgsz=(\d+)", query)
    at_size = f"-{size[1]}" if size else ""
    if (spec.checkpoint or "package:").startswith("package:") and not path.exists():
        bare = Path(name.partition("@")[0]).name if name.startswith(("hf", "local")) or "@" in name else name
        return bare.removesuffix(".pt") + at_size
    stem = path.name
    for suffix in path.suffixes[::-1]:
        stem = stem.removesuffix(suffix) if suffix.lower() in (*_WEIGHTS, *_ULTRALYTICS) else stem
    if _PLAIN_STEMS.fullmatch(stem.lower()):
        folders = [part for part in path.parent.parts if part.lower() not in _PLAIN_FOLDERS]
        stem = folders[-1] if folders else stem
    return stem + at_size
