"""Where files that orxe-plugins 0.1.0 saved look for their cascade: see :mod:`orxe_ultralytics.old_files`."""

from __future__ import annotations

from typing import Any

from orxe_plugins.errors import OrxeError


class OldFileError(OrxeError):
    """A file of 0.1.0 is being read by ``torch.load``, which cannot build its parts any more."""


def __getattr__(name: str) -> Any:
    if name != "CascadeModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise OldFileError(
        "this cascade was saved by orxe-plugins 0.1.0, whose files name classes that have moved since. CascadeYOLO "
        "still reads it; write it anew once: from orxe_ultralytics import CascadeYOLO; "
        'CascadeYOLO("OLD.pt").save("NEW.pt")'
    )
