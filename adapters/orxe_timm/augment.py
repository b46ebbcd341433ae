"""timm's training-time augmentations for the recorder."""

from __future__ import annotations

from PIL import Image
from timm.data.auto_augment import augment_and_mix_transform, auto_augment_transform, rand_augment_transform

from orxe_plugins.errors import OrxeError

#: what takes the place of pixels from outside of the image: the mean colour of ImageNet
_FILL = (124, 116, 104)


class Augmentation:
    """One of timm's automatic augmentations of an RGB image.

    Attributes:
        name: timm's configuration string.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        hparams = {"img_mean": _FILL}
        try:
            if name.startswith("rand"):
                self._transform = rand_augment_transform(name, hparams)
            elif name.startswith("augmix"):
                self._transform = augment_and_mix_transform(name, hparams)
            else:
                self._transform = auto_augment_transform(name, hparams)
        except (AssertionError, ValueError) as error:
            raise OrxeError(
                f"augmentation 'timm:{name}' is unknown: expected original, v0, 3a, rand-m9-mstd0.5 "
                f"or augmix-m3, as timm's --aa takes them ({error})"
            ) from error

    def __call__(self, image: Image.Image) -> Image.Image:
        return self._transform(image.convert("RGB"))


def augment(name: str) -> Augmentation:
    """The augmentation that a recipe names as ``record: {augment: "timm:NAME"}`` (TinySaver 3.3)."""
    return Augmentation(name)
