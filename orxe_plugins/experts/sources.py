"""The files that an expert is built of, and what they hold: compared without building it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from orxe_plugins.experts.checkpoints import is_package
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.util.content import tree_fingerprint


def source_fingerprints(spec: ExpertSpec) -> dict[str, str]:
    """What each file of an expert holds, by the key that names it; weights that a framework finds itself have none."""
    found = {}
    for key, path in _named(spec):
        try:
            if path.exists():
                found[key] = tree_fingerprint(path)
        except (OSError, ValueError):
            continue  # a name that no file can have
    return found


def changed_sources(spec: ExpertSpec, recorded: Mapping[str, str]) -> list[str]:
    """The files of an expert that hold something else than was recorded, as people name them."""
    named, now = dict(_named(spec)), source_fingerprints(spec)
    return [str(named[key]) for key, before in recorded.items() if key in now and now[key] != before]


def _named(spec: ExpertSpec) -> Iterator[tuple[str, Path]]:
    _, name, in_address = parse_address(spec.address)
    options = {**in_address, **spec.options}
    config, at, weights = name.partition("@")
    for key, value in (("address", config), ("weights", weights if at else None), ("checkpoint", spec.checkpoint),
                       ("esn", options.get("esn")), ("option checkpoint", options.get("checkpoint"))):  # fmt: skip
        if isinstance(value, str) and value and not is_package(value):
            yield key, Path(value)
