"""What building an expert would run, fetch or read: asked of every expert that a file of others describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.adapters import adapter_names, load_adapter
from orxe_plugins.experts.checkpoints import is_package
from orxe_plugins.experts.label_space import LABEL_OPTIONS
from orxe_plugins.experts.outside import is_address, outside_of, places_of, without_outside
from orxe_plugins.experts.spec import ExpertSpec, adapter_in, parse_address
from orxe_plugins.util.inside import is_inside
from orxe_plugins.util.trust import Origin, Risk, check_trusted, is_remembered, is_trusting, remember

__all__ = ["FILE_OPTIONS", "check_specs", "is_address", "remember_specs", "risks_of"]

#: options of an expert, or of an expert inside of its options, that name a file
FILE_OPTIONS = ("checkpoint", "esn")
#: suffixes of files that can hold code
_CODE = re.compile(r"\.(py|pyc|pt|pth|pkl|pickle|bin|ckpt|tar|npy|npz|so|dll|zip|ya?ml|json|engine)$", re.IGNORECASE)
#: before this release of torch, even the reader of weights alone could be made to run code (CVE-2025-32434)
_SAFE_TORCH = (2, 6)


def check_specs(specs: Iterable[ExpertSpec]) -> None:
    """Raise unless the user trusts what building these experts would do; those that the caller named are trusted.

    Raises:
        OrxeError: with all that would run, and how to allow it.
    """
    if is_trusting():
        return
    risks: dict[Origin, list[Risk]] = {}
    for spec in specs:
        if spec.origin is not None:
            risks.setdefault(spec.origin, []).extend(_seen_from_inside(spec, spec.origin))
    for origin, found in risks.items():
        check_trusted(found, origin)


def remember_specs(specs: Iterable[ExpertSpec], folder: Path | None = None) -> None:
    """Trust what building these experts does from now on, for this user: they are the user's own.

    Args:
        specs: experts; those that came from a file which was not trusted are left out.
        folder: where they will be read from; what lies in it needs no trust to be read.
    """
    for spec in specs:
        if spec.origin is None:
            try:
                remember([*risks_of(spec, Origin("", folder)), *places_of(spec)])
            except (OrxeError, ImportError):
                continue  # it cannot be built on this machine: then there is nothing to trust


def risks_of(spec: ExpertSpec, origin: Origin) -> list[Risk]:
    """All that building an expert would run or fetch, and what it would read outside of the origin's folder."""
    named = f"expert {spec.name or spec.address!r}"
    found = [*_of_files(spec, named), *_of_adapter(spec, named)]
    return [risk for risk in found if risk.runs or not _is_inside(risk.path, origin.folder)]


def _seen_from_inside(spec: ExpertSpec, origin: Origin) -> list[Risk]:
    """The same; nobody looks outside of the folder, be it only to say what lies there, before the user trusts that."""
    outside = [risk for risk in outside_of(spec, origin.folder) if not is_remembered(risk)]
    rest = without_outside(spec, origin.folder) if outside else spec
    return outside + (risks_of(rest, origin) if rest is not None else [])


def _of_files(spec: ExpertSpec, named: str) -> Iterator[Risk]:
    """The files that a spec names by keys of its own."""
    gate = (spec.confidence or {}).get("file")
    for file in filter(None, (spec.checkpoint, gate)):
        yield from _of_file(str(file), named)


def _of_file(file: str, named: str) -> Iterator[Risk]:
    if is_package(file):
        return
    if is_address(file):
        yield Risk.of_text(f"{named} fetches {file!r}", file)
        return
    path = Path(file)
    yield Risk.of_path(f"{named} reads {file!r}, which is outside of the folder", path, runs=False)
    if path.suffix != ".safetensors" and _torch_version() < _SAFE_TORCH and path.is_file():
        yield Risk.of_path(f"{named} unpickles {file!r}, and torch {torch.__version__} may run code in it", path)


def _of_adapter(spec: ExpertSpec, named: str) -> Iterator[Risk]:
    """What the expert's adapter says that its name and options do."""
    adapter, name, in_address = parse_address(spec.address)
    options = {**in_address, **spec.options}
    yield from _of_options({key: value for key, value in options.items() if key not in LABEL_OPTIONS}, named)
    if spec.checkpoint is not None:
        options["checkpoint"] = spec.checkpoint
    loaded = load_adapter(adapter)
    if hasattr(loaded, "risks"):
        for risk in loaded.risks(name, options):
            yield Risk(f"{named} {risk.what}", risk.key, risk.path, risk.runs)
    else:
        what = f"{named} is built by adapter {adapter!r}, which does not say what it runs"
        yield Risk.of_text(what, spec.address, repr(sorted(options.items())))


def _of_options(options: Mapping[str, Any], named: str) -> Iterator[Risk]:
    """Options of all adapters: files, experts inside of options, and texts that look like a file or an address."""
    for key, value in options.items():
        if isinstance(value, Mapping) and "address" in value:
            yield from _of_nested(value, named)
        elif isinstance(value, Mapping):
            yield from _of_options({str(inner): each for inner, each in value.items()}, named)
        elif isinstance(value, (list, tuple)):
            yield from _of_options({f"{key}[{i}]": each for i, each in enumerate(value)}, named)
        elif not isinstance(value, str):
            continue
        elif key in FILE_OPTIONS:
            yield from _of_file(value, named)
        elif adapter_in(value) in adapter_names() and not is_address(value):
            yield from _of_nested({"address": value}, named)
        elif is_address(value) or _CODE.search(value) or "/" in value or "\\" in value:
            yield Risk.of_text(f"{named} takes {value!r} as {key}", key, value)


def _of_nested(values: Mapping[str, Any], named: str) -> list[Risk]:
    spec = ExpertSpec.from_dict(values)
    return [*_of_files(spec, named), *_of_adapter(spec, named)]


def _is_inside(path: Path | None, folder: Path | None) -> bool:
    """Whether a path lies in a folder, all links followed."""
    return path is not None and folder is not None and is_inside(path.absolute(), folder)


def _torch_version() -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
