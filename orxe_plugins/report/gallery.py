"""Pictures of samples in a report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thumbnail:
    """One sample.

    Attributes:
        source: the picture as a data URI.
        name: the sample's id.
        lines: what is said of it, one line each.
    """

    source: str
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """Samples under one heading.

    Attributes:
        title: the heading.
        note: what they are, and whether some could not be shown.
        thumbnails: the samples; there may be none.
    """

    title: str
    note: str
    thumbnails: tuple[Thumbnail, ...] = ()
