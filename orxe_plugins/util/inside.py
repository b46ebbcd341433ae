"""Whether a path stays in a folder, told without a look at anything outside of it."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path, PurePath

#: links that may lead from one to the next: more are a circle
_MOST_LINKS = 40


def is_inside(path: str | Path, folder: str | Path) -> bool:
    """Whether a path lies in a folder, all links followed.

    A link is read as long as it lies in the folder; nothing outside is looked at, be it only to see whether it exists.

    Args:
        path: one that is not absolute starts at the folder. There need not be anything at it.
        folder: the folder.
    """
    root = Path(os.path.realpath(folder))
    parts = _below(str(path), root, folder)
    place, links = root, 0
    while parts:
        part = parts.popleft()
        if part == os.pardir:
            if place == root:
                return False
            place = place.parent
            continue
        if not os.path.islink(place / part):  # noqa: PTH114  Path.is_symlink raises for names that no file can have
            place /= part
            continue
        links += 1
        written = os.readlink(place / part)  # noqa: PTH115  as above
        target = _below(written, root, folder)
        if target is None or links > _MOST_LINKS:
            return False
        if PurePath(written).anchor:
            place = root
        parts.extendleft(reversed(target))
    return parts is not None


def _below(path: str, root: Path, folder: str | Path) -> deque[str] | None:
    """The parts of a path from the folder on; None for an absolute one that does not begin with it."""
    given = PurePath(path)
    if not given.anchor:
        return deque(given.parts)
    for start in (root, Path(os.path.abspath(folder))):  # noqa: PTH100  links stay as they are written
        if given.parts[: len(start.parts)] == start.parts:
            return deque(given.parts[len(start.parts) :])
    return None
