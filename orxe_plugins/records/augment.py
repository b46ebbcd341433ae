"""Training-time augmentation while recording, the same for a sample whenever and wherever it is recorded."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from PIL import Image


class Augmentation(Protocol):
    """A random change of an image, as the experts' training used it.

    TinySaver 3.3 asks for one where thresholds are fitted on the images that the experts were
    trained on. It may draw from ``random``, ``numpy.random`` and torch; the recorder seeds all three.

    Attributes:
        name: what it is and how strong, such as ``rand-m9-mstd0.5``; records made with another
            name do not mix.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, image: Image.Image, /) -> Image.Image: ...


# The generators that augmentations draw from belong to the whole process.
_GENERATORS = threading.Lock()


def augmented(image: Image.Image, augment: Augmentation, sample_id: str, seed: int) -> Image.Image:
    """An image as ``augment`` changes it with random numbers that depend on the sample's id and ``seed`` alone."""
    digest = hashlib.sha256(f"{seed}:{sample_id}".encode("utf-8", "surrogateescape")).digest()
    with seeded(int.from_bytes(digest[:4], "big")):
        return augment(image)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """All generators at ``seed`` inside a ``with`` block, and as they were after it."""
    with _GENERATORS:
        before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
        try:
            random.seed(seed)
            np.random.seed(seed)
            # Not torch.manual_seed: it would reset the generators of GPUs too.
            torch.random.default_generator.manual_seed(seed)
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
            torch.random.set_rng_state(before[2])
