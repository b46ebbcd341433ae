"""YoloDataset: the images and boxes of an Ultralytics data file, for records and reports."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
from ultralytics.utils.patches import imread

from orxe_plugins.data.datasets import BadSampleError, Subset
from orxe_plugins.detection.coco.ground_truth import GroundTruth, targets_fingerprint
from orxe_plugins.errors import OrxeError


class YoloDataset:
    """One split of an Ultralytics data file, as its ``val`` reads it; see :class:`orxe_plugins.data.datasets.Dataset`.

    Args:
        data: a data file such as ``coco8.yaml``; Ultralytics finds or downloads the images that it names.
        split: "train", "val" or "test".

    Attributes:
        sample_ids: the images' paths below their common folder, in Ultralytics' order. Images that
            Ultralytics finds broken are not among them.
        targets: a :class:`GroundTruth` for each image; it may be without a box.
        names: label names.
        files: the image files.

    Raises:
        OrxeError: the data file, or a file that it names, is missing or cannot be read.
    """

    def __init__(self, data: str | Path, split: str = "val") -> None:
        try:
            self.data = check_det_dataset(data, split=split)
            source = YOLODataset(img_path=self.data[split], data=self.data, task="detect", augment=False)
        except (OSError, SyntaxError, TypeError, RuntimeError, AssertionError, ValueError) as error:
            raise OrxeError(f"Ultralytics data {str(data)!r}, split {split!r}: {str(error).strip()}") from error
        self.names = tuple(self.data["names"].values())
        self.files = [Path(label["im_file"]) for label in source.labels]
        self.targets = [_target(label, self.names) for label in source.labels]
        common = os.path.commonpath([file.parent for file in self.files])
        self.sample_ids = [file.relative_to(common).as_posix() for file in self.files]
        self.name = f"{Path(data).stem}/{split}"
        self.fingerprint = targets_fingerprint(self.sample_ids, self.targets, self.names)

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> Image.Image:
        """The image in RGB, rotated by its EXIF tag, decoded as Ultralytics' ``val`` decodes it."""
        return Image.fromarray(read_rgb(self.files[index]))

    def select(self, indices: Iterable[int]) -> Subset:
        """A data set of some samples, in the given order."""
        return Subset(self, indices)


def read_rgb(path: str | Path) -> np.ndarray:
    """An original image as Ultralytics' loader reads it, rotated by its EXIF tag: RGB, uint8 of shape (H, W, 3).

    Raises:
        BadSampleError: it cannot be decoded.
    """
    image = imread(str(path), flags=cv2.IMREAD_COLOR)
    if image is None:
        raise BadSampleError(f"image {str(path)!r} cannot be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _target(label: dict[str, Any], names: tuple[str, ...]) -> GroundTruth:
    """Ultralytics' centre and sides, in shares of the image, as boxes in its pixels."""
    height, width = label["shape"]
    centre = label["bboxes"].astype(np.float64).reshape(-1, 4) * (width, height, width, height)
    xywh = np.hstack([centre[:, :2] - centre[:, 2:] / 2, centre[:, 2:]])
    return GroundTruth(xywh, label["cls"].reshape(-1).astype(np.int64), names)
