"""CocoDataset: images and their boxes out of a COCO annotation file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from orxe_plugins.data.datasets import Subset
from orxe_plugins.data.reading import read_image
from orxe_plugins.detection.coco.annotation_file import read_annotations
from orxe_plugins.detection.coco.ground_truth import targets_fingerprint
from orxe_plugins.detection.coco.layouts import ImageFiles, find_annotations, image_folders
from orxe_plugins.detection.notes import note
from orxe_plugins.detection.sizes import check_sizes
from orxe_plugins.errors import OrxeError

__all__ = ["CocoDataset", "find_annotations"]


class CocoDataset:
    """Images and boxes in COCO's format; see :class:`orxe_plugins.data.datasets.Dataset`.

    Known layouts, by what ``root`` is:

    - a folder with ``instances.json``, ``_annotations.coco.json`` (Roboflow), ``labels.json`` (FiftyOne) or
      ``result.json`` (Label Studio); images in it, in ``images/`` or in ``data/``;
    - COCO's own folder with one ``annotations/instances_<split>.json``, also as CVAT writes it; images in
      ``<split>/``, ``images/<split>/`` or ``images/``;
    - a split of it, such as ``coco/val2017``, which may be a link; annotations in ``../annotations``;
    - an annotation file of these kinds.

    Images are turned by their EXIF tag, as Ultralytics and mmdetection do.

    Args:
        root: see above.
        images: the folder of the images, where it is another one.

    Attributes:
        sample_ids: the images' file names, in order of their ids: COCO's evaluation breaks ties in that order.
        image_ids: COCO's image ids.
        targets: a :class:`GroundTruth` for each image, which may have no box.
        names: label names, in order of COCO's category ids.
        category_ids: COCO's id of each label.
        folder: where the images lie; None if it was not found, and then no image can be loaded.
        notes: what was left out, is missing or looks wrong, in plain sentences.

    Raises:
        OrxeError: there is no such file, or it is not a complete COCO annotation file.
    """

    def __init__(self, root: str | Path, images: str | Path | None = None) -> None:
        self.file = find_annotations(Path(root))
        content = read_annotations(self.file)
        self.category_ids, self.names = content.category_ids, content.names
        self.image_ids, self.sample_ids = content.image_ids, content.file_names
        self.targets = content.targets
        self.name = _name(self.file)
        self.fingerprint = self.identity = targets_fingerprint(self.sample_ids, self.targets, self.names)
        if images is not None and not Path(images).is_dir():
            raise OrxeError(f"the folder of the images is {str(images)!r}, which is no folder")
        self._files = ImageFiles(self.sample_ids, [Path(images)] if images is not None else image_folders(self.file))
        self.folder = self._files.folder
        self.notes = content.notes + self._notes_of_images(content.sizes)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def load(self, index: int) -> Image.Image:
        """The image, decoded whole, in RGB, turned by its EXIF tag.

        Raises:
            BadSampleError: the file is missing, may not be read, or cannot be decoded.
            OrxeError: the folder of the images was not found.
        """
        self.check_images()
        return read_image(self._files.paths[index], turn=True)

    def content_files(self, index: int) -> list[Path]:
        """The files that a sample is made of; its boxes are part of the fingerprint."""
        return [self._files.paths[index]]

    def check_images(self) -> None:
        """Raise if the folder of the images was not found."""
        if self.folder is None:
            tried = ", ".join(map(str, self._files.tried))
            raise OrxeError(
                f"the images of {self.file}, such as {self.sample_ids[0]!r}, are in none of {tried}: name their folder "
                "by data.images of a recipe, or CocoDataset(..., images=FOLDER)"
            )

    def select(self, indices: Iterable[int]) -> Subset:
        """A data set of some samples, in the given order."""
        return Subset(self, indices)

    def _notes_of_images(self, sizes: list[tuple[int, int] | None]) -> tuple[str, ...]:
        if self.folder is None:
            return ()
        missing = self._files.missing
        notes = (
            [note(missing, len(self), "image", f"not in {self.folder}, so that they are skipped")] if missing else []
        )
        return (*notes, *check_sizes(self.sample_ids, self._files.paths, sizes))


def _name(file: Path) -> str:
    if file.parent.name == "annotations":
        return file.stem.removeprefix("instances_")
    return file.resolve().parent.name
