"""What `orxe predict` is to answer: image files, folders of them, patterns and videos."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orxe_plugins.cli.videos import VIDEO_SUFFIXES, frames
from orxe_plugins.data.datasets import IMAGE_SUFFIXES, BadSampleError, decode
from orxe_plugins.errors import OrxeError


@dataclass(frozen=True)
class Item:
    """One image to answer.

    Attributes:
        source: the file.
        image: its pixels; None if they cannot be read.
        problem: why not.
        frame: number of a video's frame, from 0; None for an image file.
        seconds: where in the video it is.
    """

    source: Path
    image: Any = None
    problem: str = ""
    frame: int | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """The file, with the frame's number behind it."""
        return str(self.source) if self.frame is None else f"{self.source}#{self.frame}"


@dataclass(frozen=True)
class Inputs:
    """The files that were found.

    Attributes:
        files: images and videos, in the order given; those of a folder or pattern are sorted.
        left_out: files of folders that are neither.
        missing: what was named and is not there, as "NAME: REASON".
    """

    files: tuple[Path, ...]
    left_out: tuple[Path, ...]
    missing: tuple[str, ...]


def find_inputs(named: Sequence[str]) -> Inputs:
    """The files that file names, folders and patterns (``photos/**/*.jpg``) stand for."""
    files: list[Path] = []
    left_out: list[Path] = []
    missing: list[str] = []
    for name in named:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = _files_in(path)
            taken = [file for file in inside if _is_taken(file)]
            files.extend(taken)
            left_out.extend(file for file in inside if not _is_taken(file))
            if not taken:
                missing.append(f"{name}: the folder holds no image and no video")
        elif path.exists() or not glob.has_magic(name):
            files.append(path)
        else:
            found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
            files.extend(file for file in found if file.is_file())
            if not any(file.is_file() for file in found):
                missing.append(f"{name}: no file matches")
    return Inputs(tuple(files), tuple(left_out), tuple(missing))


def read_items(files: Sequence[Path], every: int, turn: bool) -> Iterator[tuple[int, Item]]:
    """The images of files one after the other, each with the number of files done before it.

    Args:
        files: images and videos.
        every: take each so many-th frame of a video.
        turn: apply the camera's orientation, as the recorder does for this task.
    """
    for done, file in enumerate(files):
        if file.suffix.lower() in VIDEO_SUFFIXES:
            yield from ((done, item) for item in _video(file, every))
            continue
        try:
            yield done, Item(file, _read(file, turn))
        except (BadSampleError, OSError) as error:
            yield done, Item(file, problem=_reason(error))


def _read(file: Path, turn: bool) -> Any:
    return decode(file.read_bytes())


def _video(file: Path, every: int) -> Iterator[Item]:
    count = 0
    try:
        for number, seconds, image in frames(file, every):
            count += 1
            yield Item(file, image, frame=number, seconds=seconds)
    except OrxeError:
        raise
    # Readers of videos raise errors of many kinds.
    except Exception as error:
        yield Item(file, problem=f"the video breaks off after {count} frames: {_reason(error)}")
        return
    if not count:
        yield Item(file, problem="it holds no frame that can be read")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _is_taken(file: Path) -> bool:
    return file.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)


def _files_in(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts))
