"""What an mmdet expert runs or fetches beside the configs and weights of mmdet's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orxe_mmdet.configs import local_config
from orxe_plugins.experts.risks import is_address
from orxe_plugins.util.content import file_fingerprint
from orxe_plugins.util.trust import Risk

_PRETRAINED = "pretrained"


def risks(name: str, options: Mapping[str, Any]) -> Iterator[Risk]:
    """What :func:`orxe_mmdet.load_expert` with these arguments would run, fetch or read."""
    config, _, in_name = name.partition("@")
    local = local_config(config)
    if local is not None:
        # It may be made of others beside it, which its own content does not show: its place counts too.
        content = file_fingerprint(local)
        yield Risk.of_text(f"runs the config {str(local)!r}", str(local.resolve()), content)
    if options.get("repo") is not None:
        yield Risk.of_text(f"runs code of the checkout {options['repo']!r}", str(Path(options["repo"]).resolve()))
    if not _is_plain(options.get("cfg_options") or {}):
        changed = options["cfg_options"]
        yield Risk.of_text(f"sets {changed!r} in its config, which can name any function", repr(changed))
    for checkpoint in filter(None, (in_name, options.get("checkpoint"))):
        yield from _of_checkpoint(str(checkpoint), bool(options.get("trust_checkpoint")))


def _of_checkpoint(checkpoint: str, in_full: bool) -> Iterator[Risk]:
    if is_address(checkpoint):
        yield Risk.of_text(f"fetches {checkpoint!r}", checkpoint, str(in_full))
    elif checkpoint != _PRETRAINED:
        path = Path(checkpoint)
        yield Risk.of_path(f"reads {checkpoint!r}, which is outside of the folder", path, runs=False)
        if in_full and path.suffix != ".safetensors":
            yield Risk.of_path(f"unpickles {checkpoint!r} (trust_checkpoint), which can run any code in it", path)
    elif in_full:
        yield Risk.of_text("unpickles what it fetches (trust_checkpoint)", checkpoint)


def _is_plain(value: Any) -> bool:
    """Whether a value of a config holds numbers alone, by keys that are no type."""
    if isinstance(value, Mapping):
        return all(str(key).rpartition(".")[2] != "type" and _is_plain(each) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float))
