"""The adapter ``https:``: as ``http:``, over an encrypted connection."""

from __future__ import annotations

from typing import Any

from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.serving import remote


def load_expert(name: str, checkpoint: str | None = None, **options: Any) -> ClassifierExpert:
    """A classifier behind ``https:`` and ``name``; see :func:`orxe_plugins.serving.remote.load_from`."""
    return remote.load_from("https", name, checkpoint, options)


def view_of(name: str, **options: Any) -> ImageView:
    """The view that the options describe."""
    return remote.view_of(name, **options)
