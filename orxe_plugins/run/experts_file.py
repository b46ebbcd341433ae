"""An experts file: a pool of models in one YAML file, with checkpoints beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from orxe_plugins.experts.checkpoints import is_package
from orxe_plugins.experts.outside import is_address
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.util.json_files import checked, values_of
from orxe_plugins.util.trust import Origin
from orxe_plugins.util.validation import Name
from orxe_plugins.util.yaml_files import read_yaml

_VIEW_KEYS = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")
_SOURCE_KEYS = ("address", "timm", "builder")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class _Entry(ExpertSpec):
    """An expert, with shorter ways to name a timm model and how its images are prepared."""

    address: Name = ""
    timm: str | None = None
    builder: str | None = None
    variant: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    input_size: list[int] | int | None = None
    mean: list[float] | float | None = None
    std: list[float] | float | None = None
    interpolation: str | None = None
    crop_pct: float | None = None
    crop_mode: str | None = None
    #: what a paper says of it: for readers and tests
    published: Mapping[str, float] = field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> _Entry:
        sources = [key for key in _SOURCE_KEYS if getattr(self, key)]
        if len(sources) != 1:
            raise ValueError(f"expected one of address, timm and builder, but got {' and '.join(sources) or 'none'}")
        if self.builder is not None and not (self.name and self.variant):
            raise ValueError("an expert with a builder needs a name and a variant")
        return self

    def expert(self, folder: Path) -> ExpertSpec:
        """The plain spec; the checkpoint's path becomes absolute."""
        options = {**self.kwargs, **self.options}
        options.update({key: getattr(self, key) for key in _VIEW_KEYS if getattr(self, key) is not None})
        if self.builder is not None:
            options.update(builder=self.builder, variant=self.variant)
        values = {one.name: getattr(self, one.name) for one in fields(ExpertSpec)}
        values["address"] = self.address or f"timm:{self.timm or self.name}"
        values["checkpoint"] = _absolute(self.checkpoint, folder)
        return ExpertSpec(**{**values, "options": options})


class _ExpertsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    experts: list[_Entry] = Field(min_length=1)


def read_experts_file(path: str | Path, *, trust: bool = False) -> tuple[ExpertSpec, ...]:
    """The experts that a YAML file lists under ``experts``; no framework is imported for it.

    An entry has the fields of an :class:`~orxe_plugins.experts.spec.ExpertSpec`. Instead of ``address``
    (``adapter:name``) it may have ``timm`` (a timm name) or ``builder`` with ``variant`` (see
    :func:`orxe_timm.load_expert`). ``kwargs``, ``input_size``, ``mean``, ``std``, ``interpolation``,
    ``crop_pct`` and ``crop_mode`` are options too. A ``checkpoint`` is relative to the file, or
    ``package:NAME``. Figures under ``published`` are for readers and change nothing.

    Args:
        path: the file.
        trust: the caller trusts what building the experts runs and fetches. Otherwise an expert that would, or that has
            a file outside of the file's folder, is an error when it is built: see docs/security.md.

    Returns:
        One spec per entry, in the file's order.

    Raises:
        OrxeError: the file cannot be read, or an entry does not fit.
    """
    path = Path(path)
    raw = read_yaml(path, "experts file")
    content = checked(_ExpertsFile, raw, f"experts file {str(path)!r}")
    folder = path.resolve().parent
    origin = None if trust else Origin(f"experts file {str(path)!r}", folder)
    with values_of(f"experts file {str(path)!r}"):
        return tuple(replace(entry.expert(folder), origin=origin) for entry in content.experts)


def _absolute(checkpoint: str | None, folder: Path) -> str | None:
    if checkpoint is None or is_package(checkpoint) or is_address(checkpoint):
        return checkpoint
    return str(folder / checkpoint)
