"""Exported models (OpenVINO, ONNX, TorchScript, ...) as torch modules."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.autobackend import AutoBackend

from orxe_plugins.errors import OrxeError


class ExportedModel(nn.Module):
    """A file that Ultralytics' AutoBackend runs.

    Copies share the running backend, which often cannot be copied; a pickled one keeps the path and
    loads the file again. A move to another device loads it there with the next batch.

    Args:
        path: the exported file or folder.
        dnn: run an ONNX file by OpenCV instead of ONNX Runtime.
    """

    def __init__(self, path: Path, dnn: bool = False) -> None:
        super().__init__()
        self.path = path.resolve()
        self.dnn = dnn
        # In a list, because torch would take it for a submodule, to be copied and pickled with this one.
        self._running: list[AutoBackend] = []
        # Follows .to(device), which a backend cannot.
        self.register_buffer("where", torch.zeros(0), persistent=False)
        backend = self.backend
        self.names: dict[int, str] = dict(backend.names)
        self.task: str | None = backend.task
        self.stride = torch.tensor([float(backend.stride)])
        self.end2end = bool(getattr(backend, "end2end", False))
        self.dynamic = bool(getattr(backend, "dynamic", False))
        #: side of the square that a model of fixed size takes; None if it takes any
        self.fixed_size = None if self.dynamic else _square(path, getattr(backend, "imgsz", None))

    @property
    def backend(self) -> AutoBackend:
        """The running model, on the device that this module is on."""
        device = self.get_buffer("where").device
        if not self._running or torch.device(self._running[0].device) != device:
            if not self.path.exists():
                raise OrxeError(f"no exported model at {str(self.path)!r}: export it there, or correct the path")
            self._running[:] = [AutoBackend(str(self.path), device=device, dnn=self.dnn, verbose=False)]
        return self._running[0]

    def forward(self, images: Tensor) -> Any:
        """What the exported graph answers to images (B, 3, h, w) in [0, 1]."""
        return self.backend(images.float())

    def get_extra_state(self) -> str:
        """sha256 of the file's, or the folder's files', contents: what records know the weights by."""
        files = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        digest = hashlib.sha256()
        for file in filter(Path.is_file, files):
            digest.update(f"{file.relative_to(self.path.parent)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def set_extra_state(self, state: Any) -> None:
        """Nothing: the weights are in the file."""

    def __deepcopy__(self, memo: dict[int, Any]) -> ExportedModel:
        copy = object.__new__(ExportedModel)
        memo[id(self)] = copy
        copy.__dict__ = {**self.__dict__, "_buffers": dict(self._buffers)}
        return copy

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": []}


def _square(path: Path, size: Any) -> int | None:
    sides = {int(side) for side in ([size] if isinstance(size, int) else size or ())}
    if len(sides) > 1:
        raise OrxeError(f"{str(path)!r} was exported for images of {size} pixels: expected a square, or dynamic=True")
    return sides.pop() if sides else None
