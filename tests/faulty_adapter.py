"""An adapter whose experts fail as an image says, and images that say so; also a plugin of the command."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from orxe_plugins import Cascade, ClassifierExpert, Expert, ExpertSpec, ImageView, Policy, save_cascade
from orxe_plugins.experts.adapters import register_adapter

SOUND, RAISES, NOT_FINITE, MISCOUNTS, HANGS, UNREADABLE = range(6)
VIEW = ImageView((8, 8), 8, (0.0,) * 3, (1.0,) * 3)
#: lets experts that hang go on
RELEASED = threading.Event()


class Model(nn.Module):
    """Classes that images name in their colours; the far one answers the class behind it, and fails as they say."""

    def __init__(self, is_far: bool) -> None:
        super().__init__()
        self.is_far = is_far

    def forward(self, batch: Tensor) -> Tensor:
        pixels = (batch[:, :, 0] * 255).round().long()  # (B, 3, 8), the first row
        kinds, unsure, classes = pixels[:, :, 0].unbind(1)
        number = pixels[:, 0, 1] + 256 * pixels[:, 1, 1]
        scale = torch.where((unsure > 0) & (not self.is_far), 0.5, 4 + number / 10_000)
        outputs = nn.functional.one_hot((classes + self.is_far) % 3, 3) * scale[:, None]
        return self._spoiled(outputs, kinds) if self.is_far else outputs

    def _spoiled(self, outputs: Tensor, kinds: Tensor) -> Tensor:
        if (kinds == RAISES).any():
            raise RuntimeError("a bad row")
        if (kinds == HANGS).any():
            RELEASED.wait(300)
        outputs[kinds == NOT_FINITE, 1] = float("nan")
        return torch.cat([outputs, outputs[:1]]) if (kinds == MISCOUNTS).any() else outputs


def load_expert(name: str) -> ClassifierExpert:
    return ClassifierExpert(name, Model(name == "far"), view=VIEW, num_classes=3, cost=2.0 if name == "far" else 1.0)


def risks(*_: object) -> Iterable[object]:
    return ()


register_adapter("faulty", __name__)


def kinds_of(total: int, every: int = 50) -> list[int]:
    """What is wrong with each of so many images: one of five kinds with each so many-th, nothing with the others."""
    return [
        SOUND if i % every else (RAISES, NOT_FINITE, MISCOUNTS, HANGS, UNREADABLE)[i // every % 5] for i in range(total)
    ]


def image_of(number: int, kind: int) -> Image.Image:
    """An image of one of three classes; every third one, and each that is faulty, goes on to the far expert."""
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[0, 0] = kind, kind != SOUND or number % 3 == 0, (number * 7919 >> 3) % 3
    pixels[0, 1] = number % 256, number // 256, 0
    return Image.fromarray(pixels)


def file_of(number: int, kind: int) -> bytes:
    """The same as a file; one that cannot be read is torn."""
    buffer = io.BytesIO()
    image_of(number, kind).save(buffer, "PNG")
    return buffer.getvalue()[: 40 if kind == UNREADABLE else None]


def write_cascade(folder: Path) -> None:
    """A cascade of the near and the far expert."""
    experts: list[Expert] = []
    for name in ("near", "far"):
        expert = load_expert(name)
        expert.spec = ExpertSpec(f"faulty:{name}", name=name)
        experts.append(expert)
    save_cascade(Cascade(experts, Policy((0.9,))), folder)


def right_answers(kinds: list[int]) -> tuple[list[int], list[str], list[float]]:
    """Class, expert and confidence of each image: the far expert's where it is asked and sound."""
    sound = [load_expert(name) for name in ("near", "far")]
    images = [image_of(i, kind) for i, kind in enumerate(kinds)]
    with torch.inference_mode():
        batch = VIEW.from_images(images)
        near = sound[0](batch)
        far = Model(True)(batch * (torch.arange(3 * 64).reshape(1, 3, 8, 8) != 0))  # without what is wrong
    onward = torch.tensor([kind == SOUND and i % 3 == 0 for i, kind in enumerate(kinds)])
    outputs = torch.where(onward[:, None], far, near)
    return (
        outputs.argmax(1).tolist(),
        ["far" if on else "near" for on in onward.tolist()],
        outputs.softmax(1).amax(1).tolist(),
    )
