"""What `orxe predict` is to answer: image files, folders of them, patterns and videos."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orxe_plugins.cli.videos import VIDEO_SUFFIXES, frames
from orxe_plugins.data.reading import BadSampleError, image_files, named, read_image
from orxe_plugins.errors import OrxeError
from orxe_plugins.records.prefetch import prefetch

#: threads that decode images, and images that may lie ready
_MOST_WORKERS, _AHEAD = 8, 64


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
        notes: what of the folders is left out, in sentences.
        missing: what was named and is not there, as "NAME: REASON".
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def find_inputs(names: Sequence[str]) -> Inputs:
    """The files that file names, folders and patterns (``photos/**/*.jpg``) stand for."""
    files: list[Path] = []
    notes: list[str] = []
    missing: list[str] = []
    for name in names:
        path = Path(name).expanduser()
        if path.is_dir():
            taken, left_out = _files_in(path)
            notes += left_out
            problem = "the folder holds no image and no video"
        elif path.exists() or not glob.has_magic(name):
            taken, problem = [path], ""
        else:
            # Path.glob takes no absolute pattern.
            found = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207
            taken, problem = sorted(file for file in found if file.is_file()), "no file matches"
        files += taken
        if not taken:
            missing.append(f"{name}: {problem}")
    return Inputs(tuple(files), tuple(notes), tuple(missing))


def read_items(files: Sequence[Path], every: int, turn: bool) -> Iterator[tuple[int, Item]]:
    """The images of files one after the other, each with the number of files done before it.

    Args:
        files: images and videos.
        every: take each so many-th frame of a video.
        turn: apply the camera's orientation, as the recorder does for this task.
    """
    workers = min(os.cpu_count() or 1, _MOST_WORKERS)
    # Images are decoded in threads while those before them are answered; a video is read where its frames are wanted.
    images = prefetch(lambda file: _image(file, turn), files, workers=workers, ahead=_AHEAD)
    with closing(images):
        for done, (file, image) in enumerate(zip(files, images, strict=True)):
            if image is None:
                yield from ((done, item) for item in _video(file, every))
            else:
                yield done, image


def _image(file: Path, turn: bool) -> Item | None:
    """The image in a file; None for a video."""
    if file.suffix.lower() in VIDEO_SUFFIXES:
        return None
    try:
        return Item(file, read_image(file, turn))
    except BadSampleError as error:
        return Item(file, problem=str(error))


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


def _files_in(folder: Path) -> tuple[list[Path], list[str]]:
    """The images and videos in a folder and below it, sorted, and sentences about other files."""
    listed = image_files(folder)
    videos = [name for name, _ in listed.left_out if Path(name).suffix.lower() in VIDEO_SUFFIXES]
    others = [name for name, _ in listed.left_out if name not in set(videos)]
    total = len(listed.images) + len(listed.left_out)
    note = f"{len(others):,} of {total:,} files in {folder} are left out, as they are no images: {named(others)}"
    return [folder / name for name in sorted([*listed.images, *videos])], [note] if others else []
