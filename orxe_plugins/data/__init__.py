"""Samples: images and their views, folders and lists of them, batches."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.data.batch import batch_size, put_rows, rows_by, take_rows
    from orxe_plugins.data.datasets import BadSampleError, Dataset, ImageFolder, Subset, decode
    from orxe_plugins.data.image_lists import ImageList, images_with_masks, table_of_images
    from orxe_plugins.data.images import to_array, to_pil, to_tensor
    from orxe_plugins.data.views import ImageView, widest_view
else:
    _PLACES = {
        "BadSampleError": "orxe_plugins.data.datasets",
        "Dataset": "orxe_plugins.data.datasets",
        "ImageFolder": "orxe_plugins.data.datasets",
        "ImageList": "orxe_plugins.data.image_lists",
        "ImageView": "orxe_plugins.data.views",
        "Subset": "orxe_plugins.data.datasets",
        "batch_size": "orxe_plugins.data.batch",
        "decode": "orxe_plugins.data.datasets",
        "images_with_masks": "orxe_plugins.data.image_lists",
        "put_rows": "orxe_plugins.data.batch",
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
    "Subset",
    "batch_size",
    "decode",
    "images_with_masks",
    "put_rows",
    "rows_by",
    "table_of_images",
    "take_rows",
    "to_array",
    "to_pil",
    "to_tensor",
    "widest_view",
]
