"""Blueprint: all of a config that a detector is built of."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings
from torch import nn

from orxe_mmdet.configs import test_pipeline, use_checkout
from orxe_plugins.errors import OrxeError


@dataclass(frozen=True)
class Blueprint:
    """What a detector and its preparation of images are built of.

    Attributes:
        model: the config's ``model``.
        pipeline: the steps of its test pipeline, from an image in memory on.
        scope: mmengine's default scope.
        imports: the config's ``custom_imports``; empty if it has none.
        repo: the checkout of mmdetection that they are imported from, as an absolute path; None if they are installed.
    """

    model: Mapping[str, Any]
    pipeline: list[Any]
    scope: str = "mmdet"
    imports: Mapping[str, Any] = field(default_factory=dict)
    repo: str | None = None

    @classmethod
    def of_config(cls, cfg: Config, repo: str | Path | None = None) -> Blueprint:
        """The blueprint in a config that :func:`orxe_mmdet.configs.load_config` read from a file or a checkout."""
        return cls(
            # Building a model may change its config.
            deepcopy(cfg.model),
            test_pipeline(cfg),
            cfg.get("default_scope", "mmdet"),
            cfg.get("custom_imports") or {},
            None if repo is None else str(Path(repo).expanduser().resolve()),
        )

    def build(self, name: str) -> tuple[nn.Module, Compose]:
        """The detector with random weights, and its preparation of images.

        Args:
            name: what errors call the expert.

        Raises:
            OrxeError: mmdet cannot build the model.
        """
        with DefaultScope.overwrite_default_scope(self.scope), _warnings_only():
            try:
                model = revert_sync_batchnorm(MODELS.build(ConfigDict(deepcopy(self.model))))
            except (ImportError, RuntimeError, TypeError, KeyError, AssertionError) as error:
                raise OrxeError(f"the model of expert 'mmdet:{name}' cannot be built: {error}") from error
            return model, Compose(deepcopy(self.pipeline))

    def import_projects(self) -> None:
        """Import what the config imports, as reading the config does.

        Raises:
            OrxeError: it is neither installed nor in the checkout.
        """
        if not self.imports:
            return
        if self.repo is not None and Path(self.repo).is_dir():
            use_checkout(self.repo)
        try:
            import_modules_from_strings(**self.imports)
        except ImportError as error:
            way_out = "install it, or add the folder that it lies in to PYTHONPATH"
            if self.repo is not None:
                way_out = f"it was in the mmdetection checkout {self.repo!r}; put that there again, or into PYTHONPATH"
            raise OrxeError(f"an expert's config imports {self.imports['imports']!r}: {error}; {way_out}") from error

    def to_dict(self) -> dict[str, Any]:
        """As plain values, with the names of classes and functions in place of themselves."""
        values = {key: getattr(self, key) for key in ("model", "pipeline", "scope", "imports", "repo")}
        return {key: _named(value) for key, value in values.items()}


@contextmanager
def _warnings_only() -> Iterator[None]:
    """Let mmengine log warnings only: a model that draws its first weights logs a line for each of its parameters."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)


def _named(value: Any) -> Any:
    """mmengine's newer configs hold classes where older ones have their names; a registry takes either."""
    if isinstance(value, Mapping):
        return {key: _named(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_named(item) for item in value)
    if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        return f"{value.__module__}.{value.__qualname__}"
    return value
