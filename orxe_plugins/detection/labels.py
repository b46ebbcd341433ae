"""Label spaces: the same class may have another number, or another spelling, in another framework."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from orxe_plugins.errors import OrxeError, unknown

#: the index of a label that has no counterpart
DROPPED = -1


def normalise_label(name: str) -> str:
    """A label's name without what differs between spellings: case, spaces and underscores.

    Synonyms stay different: only the user knows that a "motorbike" is a "motorcycle".

    >>> normalise_label("Traffic_Light")
    'traffic light'
    """
    return re.sub(r"[\s_]+", " ", name).strip().casefold()


def match_labels(
    names_from: Sequence[str],
    names_to: Sequence[str],
    remap: Mapping[str, str | None] | None = None,
    *,
    allow_extra: bool = False,
    allow_missing: bool = False,
    given: str = "the labels",
    wanted: str = "the wanted labels",
) -> np.ndarray:
    """Where each label of one space is found in another, by normalised name.

    Args:
        names_from: the label names of the answers.
        names_to: the label names that are wanted.
        remap: what a name of ``names_from`` is called in ``names_to``; None drops the label. Names
            that are not in it are matched as they are.
        allow_extra: drop labels of ``names_from`` that ``names_to`` lacks, instead of an error.
        allow_missing: accept that some of ``names_to`` can never be answered.
        given: what error messages call ``names_from``.
        wanted: what they call ``names_to``.

    Returns:
        int64 array of shape (len(names_from),): index into ``names_to``, or -1 for a dropped label.

    Raises:
        OrxeError: labels are left over on either side and not allowed, a name is there twice, or
            ``remap`` names a label that does not exist.
    """
    source = _index(names_from, given)
    target = _index(names_to, wanted)
    renamed: dict[str, str | None] = {key: key for key in source}
    renamed.update(_checked_remap(remap or {}, source, target, given, wanted))
    found = np.array([DROPPED if new is None else target.get(new, DROPPED) for new in renamed.values()], dtype=np.int64)
    extra = [names_from[i] for i, new in enumerate(renamed.values()) if new is not None and new not in target]
    answered = set(found.tolist())
    missing = [name for i, name in enumerate(names_to) if i not in answered]
    if (extra and not allow_extra) or (missing and not allow_missing):
        raise OrxeError(_mismatch([] if allow_extra else extra, [] if allow_missing else missing, given, wanted))
    return found


def _index(names: Sequence[str], owner: str) -> dict[str, int]:
    """Position of every normalised name, in order."""
    index: dict[str, int] = {}
    for i, name in enumerate(names):
        key = normalise_label(name)
        if key in index:
            raise OrxeError(f"{owner} hold {name!r} twice, at {index[key]} and {i}: give each label its own name")
        index[key] = i
    return index


def _checked_remap(
    remap: Mapping[str, str | None], source: Mapping[str, int], target: Mapping[str, int], given: str, wanted: str
) -> dict[str, str | None]:
    """The remap in normalised names; None drops a label."""
    checked: dict[str, str | None] = {}
    for old, new in remap.items():
        if normalise_label(old) not in source:
            raise unknown(f"label in the remap of {given}", old, source)
        if new is not None and normalise_label(new) not in target:
            raise unknown(f"label of {wanted}", new, target)
        checked[normalise_label(old)] = None if new is None else normalise_label(new)
    return checked


def _mismatch(extra: Sequence[str], missing: Sequence[str], given: str, wanted: str) -> str:
    parts = []
    if extra:
        parts.append(f"only {given} have {_listed(extra)}")
    if missing:
        parts.append(f"only {wanted} have {_listed(missing)}")
    ways = []
    if extra and missing:
        ways.append(f"`remap: {{{extra[0]!r}: {missing[0]!r}}}` says which label is called otherwise")
    if extra:
        ways.append("`classes: data` drops labels that only an expert knows")
    if missing:
        ways.append("`classes: intersect` keeps those that all know, and leaves out the other objects")
    return f"{given} do not fit {wanted}: {'; '.join(parts)}. The ways out: {'; '.join(ways)}"


def _listed(names: Iterable[str], most: int = 20) -> str:
    listed = [repr(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
