"""YoloDataset: the images and boxes of an Ultralytics data file, for records and reports."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from ultralytics.data.utils import check_det_dataset
from ultralytics.utils.patches import imread

from orxe_plugins.data.datasets import BadSampleError
from orxe_plugins.detection.yolo.data_file import class_names
from orxe_plugins.detection.yolo.dataset import YoloFiles
from orxe_plugins.errors import OrxeError


class YoloDataset(YoloFiles):
    """One split of an Ultralytics data file, as its ``val`` reads it; see :class:`orxe_plugins.data.datasets.Dataset`.

    Samples, boxes and fingerprint are those of :class:`orxe_plugins.detection.YoloFiles`, which recipes read; images
    are decoded by Ultralytics, and data sets of its own are downloaded.

    Args:
        data: a data file such as ``coco8.yaml``; Ultralytics finds or downloads the images that it names.
        split: "train", "val" or "test".

    Attributes:
        sample_ids: the images' paths below their common folder, in Ultralytics' order. Images that
            Ultralytics finds broken are not among them.
        targets: a :class:`GroundTruth` for each image; it may be without a box.
        names: label names.
        files: the image files.
        data: the data file's content, as Ultralytics reads it.
        notes: what was left out, in plain sentences.

    Raises:
        OrxeError: the data file, or a file that it names, is missing or cannot be read.
    """

    def __init__(self, data: str | Path, split: str = "val") -> None:
        try:
            self.data = check_det_dataset(data, split=split)
        except (OSError, SyntaxError, TypeError, RuntimeError, AssertionError, ValueError, KeyError) as error:
            raise OrxeError(f"Ultralytics data {str(data)!r}, split {split!r}: {str(error).strip()}") from error
        names = class_names(self.data["names"], None, str(data))
        given = self.data[split]
        sources = [Path(source) for source in ([given] if isinstance(given, str) else given)]
        super().__init__(sources, names, f"{Path(data).stem}/{split}")

    def load(self, index: int) -> Image.Image:
        """The image in RGB, rotated by its EXIF tag, decoded as Ultralytics' ``val`` decodes it."""
        return Image.fromarray(read_rgb(self.files[index]))


def read_rgb(path: str | Path) -> np.ndarray:
    """An original image as Ultralytics' loader reads it, rotated by its EXIF tag: RGB, uint8 of shape (H, W, 3).

    Raises:
        BadSampleError: it cannot be decoded.
    """
    image = imread(str(path), flags=cv2.IMREAD_COLOR)
    if image is None:
        raise BadSampleError(f"image {str(path)!r} cannot be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
