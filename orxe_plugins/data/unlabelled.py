"""Images that nothing says anything of: a data set without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from orxe_plugins.data.datasets import Dataset, Subset
from orxe_plugins.data.reading import image_files, read_image
from orxe_plugins.errors import OrxeError


class UnlabelledImages:
    """All images below a folder, in whatever folders they lie; the target of each is None.

    Args:
        root: the folder.
        turn: whether images are turned as the camera's note (EXIF) says.

    Raises:
        OrxeError: it is no folder, or holds no image.
    """

    def __init__(self, root: str | Path, turn: bool = False) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise OrxeError(f"data folder {str(root)!r} is no folder: without labels, a folder of images is expected")
        files = image_files(self.root)
        if not files.images:
            raise OrxeError(" ".join([f"data folder {str(root)!r} holds no image.", *files.notes()]))
        self.turn = turn
        self.name = self.root.resolve().name
        self.sample_ids = list(files.images)
        self.targets = [None] * len(files.images)
        self.notes = files.notes()
        digest = hashlib.sha256(b"no labels\n")
        for name, size in zip(files.images, files.sizes, strict=True):
            digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
        self.fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.sample_ids)

    def load(self, index: int) -> Image.Image:
        """The original image, decoded whole, in RGB.

        Raises:
            BadSampleError: it cannot be decoded.
        """
        return read_image(self.root / self.sample_ids[index], self.turn)

    def select(self, indices: Iterable[int]) -> Subset:
        return Subset(self, indices)


class Labelled(Subset):
    """A data set with targets that did not come with it, such as a model's answers.

    Args:
        base: the samples.
        targets: one for each of them.
    """

    def __init__(self, base: Dataset, targets: Sequence[Any], indices: Iterable[int] | None = None) -> None:
        if len(targets) != len(base):
            raise OrxeError(
                f"{len(targets)} targets for the {len(base)} samples of {base.name!r}: expected one for each"
            )
        super().__init__(base, range(len(base)) if indices is None else indices)
        self._all = list(targets)
        self.targets = [self._all[i] for i in self.indices]

    def select(self, indices: Iterable[int]) -> Labelled:
        return Labelled(self.base, self._all, [self.indices[i] for i in indices])
