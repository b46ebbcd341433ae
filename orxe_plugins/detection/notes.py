"""Plain sentences about what was left out or decided when a data set was listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

#: nouns whose plural takes more than an s
_PLURALS = {"class": "classes", "box": "boxes", "category": "categories", "entry": "entries"}


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "image"), counted(3, "label file"), counted(2, "class")
    ('1 image', '3 label files', '2 classes')
    """
    before, _, last = noun.rpartition(" ")
    many = f"{before} {_PLURALS.get(last, last + 's')}".strip()
    return f"{count} {noun if count == 1 else many}"


def some(names: Iterable[object], most: int = 3) -> str:
    """Up to ``most`` names, and that there are more.

    >>> some(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    listed = list(islice((str(name) for name in names), most + 1))
    return ", ".join([*listed[:most], *(["..."] if len(listed) > most else [])])


def note(names: Sequence[object], total: int, noun: str, what: str) -> str:
    """A sentence about some of ``total`` things.

    >>> note(["a.jpg"], 4, "image", "missing")
    '1 of 4 images: missing: a.jpg'
    """
    return f"{len(names)} of {counted(total, noun)}: {what}: {some(names)}"
