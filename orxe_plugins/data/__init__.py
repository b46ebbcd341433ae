"""Samples: images and their views, folders and lists of them, batches."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.data.batch import batch_size, put_rows, rows_by, take_rows
    from orxe_plugins.data.datasets import Dataset, ImageFolder, Subset
    from orxe_plugins.data.image_lists import ImageList, table_of_images
    from orxe_plugins.data.images import to_array, to_pil, to_tensor
    from orxe_plugins.data.masks import images_with_masks
    from orxe_plugins.data.reading import (
        BadSampleError,
        ListedFiles,
        decode,
        image_files,
        read_image,
    )
    from orxe_plugins.data.unlabelled import Labelled, UnlabelledImages
    from orxe_plugins.data.views import ImageView, widest_view
else:
    _PLACES = {
        "BadSampleError": "orxe_plugins.data.reading",
        "Dataset": "orxe_plugins.data.datasets",
        "ImageFolder": "orxe_plugins.data.datasets",
        "ImageList": "orxe_plugins.data.image_lists",
        "ImageView": "orxe_plugins.data.views",
        "Labelled": "orxe_plugins.data.unlabelled",
        "ListedFiles": "orxe_plugins.data.reading",
        "Subset": "orxe_plugins.data.datasets",
        "UnlabelledImages": "orxe_plugins.data.unlabelled",
        "batch_size": "orxe_plugins.data.batch",
        "decode": "orxe_plugins.data.reading",
        "image_files": "orxe_plugins.data.reading",
        "images_with_masks": "orxe_plugins.data.masks",
        "put_rows": "orxe_plugins.data.batch",
        "read_image": "orxe_plugins.data.reading",
        "rows_by": "orxe_plugins.data.batch",
        "table_of_images": "orxe_plugins.data.image_lists",
        "take_rows": "orxe_plugins.data.batch",
        "to_array": "orxe_plugins.data.images",
        "to_pil": "orxe_plugins.data.images",
        "to_tensor": "orxe_plugins.data.images",
        "widest_view": "orxe_plugins.data.views",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "BadSampleError",
    "Dataset",
    "ImageFolder",
    "ImageList",
    "ImageView",
    "Labelled",
    "ListedFiles",
    "Subset",
    "UnlabelledImages",
    "batch_size",
    "decode",
    "image_files",
    "images_with_masks",
    "put_rows",
    "read_image",
    "rows_by",
    "table_of_images",
    "take_rows",
    "to_array",
    "to_pil",
    "to_tensor",
    "widest_view",
]
