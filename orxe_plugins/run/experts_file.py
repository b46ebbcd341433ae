"""An experts file: a pool of models in one YAML file, with checkpoints beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.checkpoints import is_package
from orxe_plugins.experts.registry import ExpertSpec

_VIEW_KEYS = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")


class _Entry(BaseModel):
    """One expert: an address, a timm name, or a timm builder; then how its images are prepared."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    address: str | None = None
    timm: str | None = None
    builder: str | None = None
    variant: str | None = None
    kwargs: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    checkpoint: str | None = None
    input_size: list[int] | int | None = None
    mean: list[float] | float | None = None
    std: list[float] | float | None = None
    interpolation: str | None = None
    crop_pct: float | None = None
    crop_mode: str | None = None
    confidence: dict[str, Any] | None = None
    cost: float | None = None
    shared_cost: float = 0.0
    needs: str | None = None
    published: dict[str, float] = Field(default_factory=dict)  # what a paper says of it: for readers and tests

    @model_validator(mode="after")
    def _one_source(self) -> _Entry:
        sources = [key for key in ("address", "timm", "builder") if getattr(self, key) is not None]
        if len(sources) != 1:
            raise ValueError(f"expected one of address, timm and builder, but got {' and '.join(sources) or 'none'}")
        if self.builder is not None and not (self.name and self.variant):
            raise ValueError("an expert with a builder needs a name and a variant")
        return self

    def spec(self, folder: Path) -> ExpertSpec:
        """As the registry takes it; the checkpoint's path becomes absolute."""
        options = {**self.kwargs, **self.options}
        options.update({key: getattr(self, key) for key in _VIEW_KEYS if getattr(self, key) is not None})
        if self.builder is not None:
            options.update(builder=self.builder, variant=self.variant)
        return ExpertSpec(
            address=self.address or f"timm:{self.timm or self.name}",
            name=self.name,
            checkpoint=_resolved(self.checkpoint, folder),
            options=options,
            confidence=self.confidence,
            cost=self.cost,
            shared_cost=self.shared_cost,
            needs=self.needs,
        )


class _ExpertsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    experts: list[_Entry] = Field(min_length=1)


def read_experts_file(path: str | Path) -> tuple[ExpertSpec, ...]:
    """The experts that a YAML file lists under ``experts``; no framework is imported for it.

    An entry has ``address`` (``adapter:name``), ``timm`` (a timm name) or ``builder`` with
    ``variant`` (see :func:`orxe_timm.load_expert`), and may have ``name``, ``kwargs`` or ``options``
    for the adapter, ``checkpoint`` (relative to the file, or ``package:NAME``), ``input_size``,
    ``mean``, ``std``, ``interpolation``, ``crop_pct``, ``crop_mode``, ``confidence``, ``cost``, ``shared_cost``
    and ``needs``.
    Figures under ``published`` are for readers: nothing here depends on them.

    Args:
        path: the file.

    Returns:
        One spec per entry, in the file's order.

    Raises:
        OrxeError: the file cannot be read, or an entry does not fit.
    """
    path = Path(path)
    try:
        content = _ExpertsFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OrxeError(f"experts file {str(path)!r} cannot be read: {error}") from error
    except ValidationError as error:
        raise OrxeError(f"experts file {str(path)!r}: {_explain(error)}") from error
    return tuple(entry.spec(path.resolve().parent) for entry in content.experts)


def _resolved(checkpoint: str | None, folder: Path) -> str | None:
    return checkpoint if checkpoint is None or is_package(checkpoint) else str(folder / checkpoint)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        lines.append(f"{place}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
