"""What a torchvision expert runs or fetches: nothing beside the weights under torchvision's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orxe_plugins.util.trust import Risk


def risks(name: str, options: Mapping[str, Any]) -> tuple[Risk, ...]:
    """What :func:`orxe_torchvision.load_expert` with these arguments would run, fetch or read."""
    return ()
