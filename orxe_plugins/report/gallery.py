"""Pictures of samples in a report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A box that is drawn on a picture.

    Attributes:
        x, y, width, height: its left upper corner and its sides, in pixels of the small picture.
        text: its label and score.
    """

    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class Overlay:
    """The boxes that one expert finds in a sample.

    Attributes:
        style: name of their colour and line in the style sheet: "answer" or "last".
        who: whose boxes they are.
        boxes: the boxes, the surest first; there may be none.
    """

    style: str
    who: str
    boxes: tuple[Box, ...]

    @property
    def path(self) -> str:
        """All boxes as one path of an SVG."""
        return "".join(f"M{b.x:g} {b.y:g}h{b.width:g}v{b.height:g}h{-b.width:g}z" for b in self.boxes)


@dataclass(frozen=True)
class Thumbnail:
    """One sample.

    Attributes:
        source: the picture as a data URI.
        name: the sample's id.
        lines: what is said of it, one line each.
        width, height: size of the picture in pixels.
        overlays: boxes to draw on it, those below first.
    """

    source: str
    name: str
    lines: tuple[str, ...]
    width: int
    height: int
    overlays: tuple[Overlay, ...] = ()

    @property
    def said(self) -> str:
        """The boxes in words, for readers who do not see them."""
        return ". ".join(f"{each.who}: {', '.join(b.text for b in each.boxes) or 'no box'}" for each in self.overlays)


@dataclass(frozen=True)
class Gallery:
    """Samples under one heading.

    Attributes:
        title: the heading.
        note: what they are, and whether some could not be shown.
        thumbnails: the samples; there may be none.
        key: which boxes are drawn on them; empty where none can be.
    """

    title: str
    note: str
    thumbnails: tuple[Thumbnail, ...] = ()
    key: str = ""
