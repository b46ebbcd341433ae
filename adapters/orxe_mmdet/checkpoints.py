"""Checkpoints of mmdet: weights and class names, unpickled in full only where the caller trusts the file."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from orxe_plugins.errors import OrxeError

_CLASSES = "classes"


@dataclass(frozen=True)
class Checkpoint:
    """What an expert needs of a checkpoint.

    Attributes:
        weights: the state dict.
        classes: label names of the data set that the model was trained on; empty if not known.
    """

    weights: dict[str, Tensor]
    classes: tuple[str, ...] = ()


def read_checkpoint(checkpoint: str | Path, trust_checkpoint: bool = False) -> Checkpoint:
    """Read a checkpoint.

    Args:
        checkpoint: a ``.safetensors`` file, a file of ``torch.save``, or an http(s) address, which
            is downloaded to torch's cache once; a hash in its file name is checked.
        trust_checkpoint: allow full unpickling, which can run any code that the file holds. Files
            that mmengine saved while training need it: they hold the log beside the weights.

    Raises:
        OrxeError: the file is not there, cannot be read, or needs a trust that was not given.
    """
    path = _download(str(checkpoint)) if str(checkpoint).startswith(("http://", "https://")) else Path(checkpoint)
    if not path.is_file():
        raise OrxeError(f"checkpoint {str(checkpoint)!r} does not exist")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = _unpickle(path, trust_checkpoint)
    weights = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise OrxeError(f"checkpoint {str(path)!r} holds no state dict: expected a mapping of names to tensors")
    bare = {key.removeprefix("module."): value for key, value in weights.items()}
    return Checkpoint(bare, _classes(content.get("meta")))


def load_weights(module: nn.Module, checkpoint: Checkpoint, name: str, strict: bool = True) -> None:
    """Load weights into a detector.

    Args:
        module: the detector.
        checkpoint: what :func:`read_checkpoint` read.
        name: what messages call the checkpoint.
        strict: every weight that the detector has must be there; False warns of those that are not.

    Raises:
        OrxeError: the checkpoint belongs to another model.
    """
    try:
        result = module.load_state_dict(checkpoint.weights, strict=False)
    except RuntimeError as error:
        raise OrxeError(f"checkpoint {name!r} does not fit its config: {error}") from error
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    if missing and strict:
        raise OrxeError(
            f"checkpoint {name!r} does not fit its config: {_listed(missing)} are missing. Give the checkpoint that "
            "was trained with this very config, or strict=False if the model does not need them."
        )
    for keys, what in ((missing, "are missing and stay random"), (result.unexpected_keys, "are not used by the model")):
        if keys:
            warnings.warn(f"checkpoint {name!r}: {_listed(keys)} {what}", stacklevel=2)


def convert_checkpoint(source: str | Path, target: str | Path, trust_checkpoint: bool = False) -> Path:
    """Write a checkpoint's weights and class names to a safetensors file, which can be read without trust.

    Args:
        source: see :func:`read_checkpoint`.
        target: the file to write, ``*.safetensors``.
        trust_checkpoint: see :func:`read_checkpoint`.

    Returns:
        The file's path.
    """
    target = Path(target)
    if target.suffix != ".safetensors":
        raise OrxeError(f"the file to write is {str(target)!r}: expected a name that ends in .safetensors")
    checkpoint = read_checkpoint(source, trust_checkpoint)
    # Weights may share memory or be views, which safetensors refuses.
    weights = {key: value.contiguous().clone() for key, value in checkpoint.weights.items()}
    save_file(weights, target, metadata={_CLASSES: json.dumps(checkpoint.classes)})
    return target


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a mapping
    except SafetensorError as error:
        raise OrxeError(f"checkpoint {str(path)!r} cannot be read: {error}") from error
    return Checkpoint(weights, tuple(json.loads(metadata.get(_CLASSES, "[]"))))


def _unpickle(path: Path, trust_checkpoint: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_checkpoint)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        message = str(error)
        found = re.search(r"GLOBAL (\S+)", message)
        # A file that is no pickle at all has another message, and trust would not help.
        if trust_checkpoint or (found is None and "unrecognized function" not in message):
            raise OrxeError(f"checkpoint {str(path)!r} cannot be read: {message}") from error
        what = f"a {found[1]}" if found else "objects"
        raise OrxeError(
            f"checkpoint {str(path)!r} holds {what} beside its weights, and loading that can run any code that the "
            "file brings. If you trust where it comes from, pass trust_checkpoint=True, or turn it into a file of "
            f"weights once: python -m orxe_mmdet convert {path} {path.stem}.safetensors --trust-checkpoint"
        ) from error


def _classes(meta: Any) -> tuple[str, ...]:
    """Label names out of a checkpoint's ``meta``: mmdet 3 keeps them in ``dataset_meta``, mmdet 2 beside it."""
    if not isinstance(meta, Mapping):
        return ()
    for values in (meta.get("dataset_meta"), meta):
        for key in (_CLASSES, "CLASSES"):
            names = values.get(key) if isinstance(values, Mapping) else None
            if names:
                return (names,) if isinstance(names, str) else tuple(names)
    return ()


def _download(url: str) -> Path:
    name = url.rpartition("/")[2]
    target = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        # OpenMMLab's files carry the start of their hash, as in rtmdet_tiny_..._112414-78e30dcc.pth.
        found = re.search(r"-([0-9a-f]{8,})\.", name)
        try:
            torch.hub.download_url_to_file(url, str(target), hash_prefix=found[1] if found else None)
        except (OSError, RuntimeError) as error:
            raise OrxeError(f"checkpoint {url!r} cannot be downloaded: {error}") from error
    return target


def _listed(keys: list[str]) -> str:
    more = ", …" if len(keys) > 3 else ""
    return f"{len(keys)} weights ({', '.join(keys[:3])}{more})"
