"""Local stand-ins for what documentation downloads; Python imports this file at its start where it is on the path.

Weights are random: of timm's models the same in every process, of others as the model was built. Everything else is
the frameworks' own code. What is replaced is replaced when a framework is imported, so that a command that needs none
of them starts as fast as ever.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


def _timm(module: ModuleType) -> None:
    import torch

    def load_pretrained(model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        """The same weights in every process, as downloaded ones are."""
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.is_meta:
                torch.nn.init.kaiming_normal_(parameter.data, generator=generator)

    module.load_pretrained = load_pretrained  # type: ignore[attr-defined]


class _NoChange(dict[str, Any]):
    """Weights that leave a model as it is."""


def _torchvision(module: ModuleType) -> None:
    from torch import nn

    load = nn.Module.load_state_dict

    def load_state_dict(self: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        own = self.state_dict() if isinstance(state_dict, _NoChange) else state_dict
        return load(self, own, *args, **kwargs)

    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
    module.WeightsEnum.get_state_dict = lambda self, *args, **kwargs: _NoChange()  # type: ignore[attr-defined]


def _mmdet(module: ModuleType) -> None:
    read, load = module.read_checkpoint, module.load_weights

    def read_checkpoint(source: Any, *args: Any, **kwargs: Any) -> Any:
        return module.Checkpoint({}) if str(source).startswith("http") else read(source, *args, **kwargs)

    def load_weights(model: Any, checkpoint: Any, name: Any, *args: Any, **kwargs: Any) -> None:
        if not str(name).startswith("http"):
            load(model, checkpoint, name, *args, **kwargs)

    module.read_checkpoint, module.load_weights = read_checkpoint, load_weights  # type: ignore[attr-defined]


_PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "timm.models._builder": _timm,
    "torchvision.models._api": _torchvision,
    "orxe_mmdet.checkpoints": _mmdet,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Changes a module right after it was loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        loader, execute = spec.loader, spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _PATCHES[name](module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Finder())
