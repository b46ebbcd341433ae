"""What a timm expert runs or fetches beside its registered weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orxe_plugins.util.trust import Risk

#: arguments of timm.create_model that say where weights or code are
_PLACES = (
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "cache_dir",
)
_SOURCE = re.compile(r"(?P<source>[A-Za-z][\w-]+):(?P<place>.*)", re.DOTALL)


def risks(name: str, options: Mapping[str, Any]) -> Iterator[Risk]:
    """What :func:`orxe_timm.load_expert` with these arguments would run, fetch or read.

    Weights under a registered name are timm's own; so are the weights of a file that holds nothing else.
    """
    source = _SOURCE.fullmatch(name)
    if source is not None and source["source"].lower() == "local-dir":
        yield Risk.of_path(f"builds what the folder {source['place']!r} says", Path(source["place"]))
    elif source is not None:
        yield Risk.of_text(f"fetches {name!r}", name)
    if name.lower().startswith("orxe_"):
        what = "builds a cascade out of its options"
        yield Risk.of_text(what, name, json.dumps(dict(options), sort_keys=True, default=str))
    if options.get("builder") is not None:
        yield Risk.of_text(f"calls the function {options['builder']!r}", str(options["builder"]))
    for key in _PLACES:
        if options.get(key) is not None:
            yield Risk.of_text(f"takes {options[key]!r} as {key}", key, repr(options[key]))
