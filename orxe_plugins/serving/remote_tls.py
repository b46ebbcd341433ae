"""The adapter ``https:``: as ``http:``, over an encrypted connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.expert import Expert
from orxe_plugins.serving import remote
from orxe_plugins.util.trust import Risk


def load_expert(name: str, checkpoint: str | None = None, **options: Any) -> Expert:
    """The expert behind ``https:`` and ``name``; see :func:`orxe_plugins.serving.remote.load_from`."""
    return remote.load_from("https", name, checkpoint, options)


def risks(name: str, options: Mapping[str, Any]) -> Iterator[Risk]:
    """See :func:`orxe_plugins.serving.remote.risks`."""
    return remote.risks(name, options)


def view_of(name: str, **options: Any) -> ImageView | None:
    """The view that the options describe."""
    return remote.view_of(name, **options)
