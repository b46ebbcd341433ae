"""The class index of each class folder: from a class map, or from the folders' own names and order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orxe_plugins.data.reading import named
from orxe_plugins.data.text_files import read_lines, same_name
from orxe_plugins.errors import OrxeError

#: a number beyond is a slip, or wants the memory
_MOST_CLASSES = 10_000_000
_WAY_OUT = (
    "write them in the order of your experts' classes, one in a line, into synsets.txt beside the folders, or name "
    "such a file by data.class_map=FILE"
)


@dataclass(frozen=True)
class Numbering:
    """Which class each folder is.

    Attributes:
        indices: class index of each folder, by its name.
        unmapped: whether the folders were only counted, as neither a class map nor their names say what they are.
        notes: what was decided, in sentences.
        mapped: what the class map names; it may name more classes than there are folders, and experts answer with all.
    """

    indices: dict[str, int]
    unmapped: bool = False
    notes: tuple[str, ...] = ()
    mapped: Mapping[str, int] = field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in order of their indices; empty ones where neither a folder nor the map has one."""
        largest = max([*self.mapped.values(), *self.indices.values()], default=0)
        if largest > _MOST_CLASSES:
            raise OrxeError(f"a class has the index {largest}: expected numbers from 0 on, at most {_MOST_CLASSES:,}")
        by_index = {index: name for name, index in {**self.mapped, **self.indices}.items()}
        return tuple(by_index.get(index, "") for index in range(max(by_index, default=-1) + 1))


def number_folders(names: Sequence[str], class_map: str | Path | Mapping[str, int] | None, where: Path) -> Numbering:
    """Class indices of class folders.

    Without a class map, folders that are named 0, 1, ..., K - 1 (zeros in front do not matter) are those classes.
    Others are counted in the order of their names, if all frameworks agree on it: torchvision sorts plainly
    ("10" before "9", "Zebra" before "ant"), timm naturally.

    Args:
        names: the folders, sorted plainly.
        class_map: a file, see :func:`read_class_map`, a mapping of names to indices, or None.
        where: the folder that holds them, for messages.

    Raises:
        OrxeError: the class map lacks a folder; or there is none, and both orders differ.
    """
    if class_map is not None:
        mapped = dict(class_map) if isinstance(class_map, Mapping) else read_class_map(class_map, names)
        return Numbering(_of_folders(names, mapped, class_map), mapped=mapped)
    if all(name.isascii() and name.isdecimal() for name in names):
        numbers = {name: int(name) for name in names}
        if sorted(numbers.values()) == list(range(len(names))):
            return Numbering(numbers, notes=(f"the {len(names)} class folders are named by their class indices",))
    natural = sorted(names, key=natural_key)
    if natural != list(names):
        first = next(i for i, (a, b) in enumerate(zip(names, natural, strict=True)) if a != b)
        raise OrxeError(
            f"the class folders of {str(where)!r} have no clear order: in plain order class {first} is "
            f"{names[first]!r} (torchvision), in natural order {natural[first]!r} (timm); {_WAY_OUT}"
        )
    return Numbering({name: index for index, name in enumerate(names)}, unmapped=True)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts numbers inside names by their value and ignores case, as timm numbers class folders.

    >>> sorted(["10", "9", "b", "A"], key=natural_key)
    ['9', '10', 'A', 'b']
    """
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


def read_class_map(file: str | Path, names: Sequence[str]) -> dict[str, int]:
    """Class indices out of a text file.

    The file has one class per line (the line's number, counted from 0, is the class index; words of explanation may
    follow the name), or a name and an index in every line, in either order, with a space, a tab, a comma or a
    semicolon between them. Quotes around names and empty lines at the end do not matter.

    Args:
        file: the file.
        names: class folders that the file must name; they decide which of the kinds it is.

    Raises:
        OrxeError: the file does not exist or is no text, names a class twice, or has an empty line between others.
    """
    path = Path(file)
    lines = [line.strip() for line in read_lines(path, "class map")]
    while lines and not lines[-1]:
        lines.pop()
    readings = [_by_line(lines), *_by_pair(lines), *_by_first_word(lines)]
    wanted = {same_name(name) for name in names}
    missing = [len(wanted - {same_name(name) for name, _ in pairs}) for pairs in readings]
    pairs, *others = [pairs for pairs, lacks in zip(readings, missing, strict=True) if lacks == min(missing)]
    if wanted and not min(missing) and any(dict(other) != dict(pairs) for other in others):
        raise OrxeError(
            f"class map {str(path)!r} can be read as `name index` and as `index name`: write one name in a line, in "
            "the order of the classes"
        )
    twice = [name for name, count in Counter(same_name(name) for name, _ in pairs).items() if count > 1]
    if twice:
        raise OrxeError(f"class map {str(path)!r} names class {twice[0]!r} twice")
    if len(pairs) and pairs == readings[0] and "" in lines:
        raise OrxeError(
            f"class map {str(path)!r} has an empty line {lines.index('') + 1}: each line's number is a class index, so "
            "remove it, or write the index behind each name"
        )
    return dict(pairs)


def _by_line(lines: Sequence[str]) -> list[tuple[str, int]]:
    return [(_unquoted(line), number) for number, line in enumerate(lines) if line]


def _by_pair(lines: Sequence[str]) -> list[list[tuple[str, int]]]:
    """The lines as ``name index`` and as ``index name``, where all of them can be read so."""
    filled = [line for line in lines if line]
    forward = [re.fullmatch(r"(.*[^\s,;])(?:\s*[,;]\s*|\s+)\"?(\d{1,18})\"?", line) for line in filled]
    backward = [re.fullmatch(r"\"?(\d{1,18})\"?(?:\s*[,;:]\s*|\s+)(\S.*)", line) for line in filled]
    kinds = []
    if all(forward):
        kinds.append([(_unquoted(match[1]), int(match[2])) for match in forward if match])
    if all(backward):
        kinds.append([(_unquoted(match[2]), int(match[1])) for match in backward if match])
    return kinds


def _by_first_word(lines: Sequence[str]) -> list[list[tuple[str, int]]]:
    """The lines as a name and its explanation, as in Kaggle's LOC_synset_mapping.txt."""
    words = [line.split(None, 2) for line in lines]
    # A number behind the name may be an index, which need not be the line's.
    if not all(len(line) > 1 and not line[1].isdecimal() for line in words):
        return []
    return [[(line[0], number) for number, line in enumerate(words)]]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _of_folders(
    names: Sequence[str], indices: Mapping[str, int], class_map: str | Path | Mapping[str, int]
) -> dict[str, int]:
    where = "the class map" if isinstance(class_map, Mapping) else f"class map {str(class_map)!r}"
    known = {same_name(name): int(index) for name, index in indices.items()}
    missing = [name for name in names if same_name(name) not in known]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise OrxeError(
            f"class folder {missing[0]!r}{more} is not in {where}, which names {len(indices)} classes, such as "
            f"{named(list(indices))}"
        )
    return {name: known[same_name(name)] for name in names}
