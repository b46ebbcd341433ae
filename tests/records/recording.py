"""A small recording on real JPEG files: a module for the tests here, and a script that they can kill.

python recording.py make DATA              write the images
python recording.py record DATA FOLDER     record three experts slowly
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.records import RecordOptions, Records, record
from orxe_plugins.tasks import Classification

CLASSES = ("ant", "bee", "cat")
PER_CLASS = 15


def make_images(root: Path, per_class: int = PER_CLASS) -> Path:
    """JPEG files of several sizes in one folder per class."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            height, width = rng.integers(12, 40, size=2)
            pixels = rng.integers(0, 256, size=(4, 4, 3), dtype=np.uint8) // 2 + 40 * number
            image = Image.fromarray(pixels.astype(np.uint8)).resize((int(width), int(height)))
            image.save(root / name / f"{i:03d}.JPEG")
    return root


class Net(nn.Module):
    """A tiny convolutional network; ``wait`` seconds per batch."""

    def __init__(self, seed: int, classes: int = len(CLASSES), wait: float = 0.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.conv = nn.Conv2d(3, 4 + seed, 3)
        self.fc = nn.Linear(4 + seed, classes)
        self.wait = wait
        for parameter in self.parameters():
            parameter.data.normal_(generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.wait)
        return self.fc(self.conv(x).relu().mean(dim=(2, 3)))


def expert(seed: int = 0, size: int = 12, name: str | None = None, module: nn.Module | None = None) -> ClassifierExpert:
    """An expert with weights of its own; larger sizes cost more."""
    view = ImageView((size, size), size + 2)
    module = module if module is not None else Net(seed)
    return ClassifierExpert(name or f"net:{seed}", module, view=view, num_classes=len(CLASSES)).eval()


def experts(count: int = 2, wait: float = 0.0) -> list[ClassifierExpert]:
    """Experts that cost the more the later they come."""
    return [expert(seed, 12 + 4 * seed, module=Net(seed, wait=wait)) for seed in range(count)]


def run(pool: Sequence[Any], data: Any, folder: Path, **options: Any) -> Records:
    """Record with shards of 8 samples in batches of 3, so that both ends are ragged."""
    dataset = ImageFolder(data) if isinstance(data, Path) else data
    options = {"batch_size": 3, "shard_size": 8, "workers": 2, **options}
    return record(pool, dataset, folder, task=Classification(), options=RecordOptions(**options))


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a records folder but the lock."""
    files = (
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (".lock", "contents.parquet")
    )
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make_images(Path(sys.argv[2]))
    else:
        torch.set_num_threads(1)
        run(experts(3, wait=0.01), Path(sys.argv[2]), Path(sys.argv[3]))
