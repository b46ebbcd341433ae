"""Odd image files, and two small classifiers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orxe_plugins import Cascade, Policy, load_expert

HEIGHT, WIDTH = 48, 64
#: smooth, so that lossy files of two decoders differ by little
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.stack([_X * 4, _Y * 5, 255 - _X * 2 - _Y * 2], axis=2).clip(0, 255).astype(np.uint8)
WIDE = (_X * 1000 + _Y * 50).astype(np.uint16)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _turned(kind: str = "JPEG", image: Image.Image | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(image or Image.fromarray(RGB), kind, exif=exif)


def _wide_rgb() -> bytes:
    wide = np.repeat(WIDE[..., None], 3, axis=2)
    import cv2

    return cv2.imencode(".png", wide)[1].tobytes()


def _moving() -> bytes:
    frames = [Image.fromarray(RGB).quantize(64), Image.new("RGB", (WIDTH, HEIGHT)).quantize(64)]
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _noise(kind: str) -> bytes:
    """The first half of a file."""
    data = _saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, RGB.shape, dtype=np.uint8)), kind)
    return data[: len(data) // 2]


_IMAGE = Image.fromarray(RGB)
_PALETTE = _IMAGE.quantize(64)
FILES: dict[str, bytes] = {
    "plain.png": _saved(_IMAGE, "PNG"),
    "16 bit grey.png": _saved(Image.fromarray(WIDE), "PNG"),
    "16 bit grey.tif": _saved(Image.fromarray(WIDE), "TIFF"),
    "16 bit grey.pgm": b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + WIDE.astype(">u2").tobytes(),
    "16 bit colour.png": _wide_rgb(),
    "1 bit.png": _saved(_IMAGE.convert("1"), "PNG"),
    "palette.png": _saved(_PALETTE, "PNG"),
    "palette, one clear.png": _saved(_PALETTE, "PNG", transparency=3),
    "grey and alpha.png": _saved(_IMAGE.convert("LA"), "PNG"),
    "colour and alpha.png": _saved(Image.fromarray(np.dstack([RGB, RGB[..., 0]])), "PNG"),
    "CMYK.jpg": _saved(_IMAGE.convert("CMYK"), "JPEG", quality=95),
    "capitals.JPEG": _saved(_IMAGE, "JPEG", quality=95),
    "EXIF turned.jpg": _turned(),
    "EXIF turned, 16 bit.png": _turned("PNG", Image.fromarray(WIDE)),
    "camera.jfif": _saved(_IMAGE, "JPEG", quality=95),
    "web.webp": _saved(_IMAGE, "WEBP", lossless=True),
    "moving.gif": _moving(),
    "a JPEG.png": _saved(_IMAGE, "JPEG", quality=95),
    "floats.tif": _saved(Image.fromarray((WIDE / 65535).astype(np.float32)), "TIFF"),
    "32 bit.tif": _saved(Image.fromarray(WIDE.astype(np.int32)), "TIFF"),
    "cut off.png": _noise("PNG"),
    "cut off.jpg": _noise("JPEG"),
    "empty.png": b"",
    "text.png": b"no image at all",
}


#: files that are links, beside those with a content of their own
LINKS = ("linked.png", "link to nothing.png")


@pytest.fixture(scope="session")
def odd_names() -> tuple[str, ...]:
    """Names of the odd files."""
    return (*FILES, *LINKS)


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders, of which one holds the odd files."""
    folder = tmp_path_factory.mktemp("odd") / "images"
    for name in ("ant", "bee", "cat"):
        (folder / name).mkdir(parents=True)
        _IMAGE.save(folder / name / "zz.png")
    for name, data in FILES.items():
        (folder / "ant" / name).write_bytes(data)
    (folder / "ant" / "linked.png").symlink_to(folder / "bee" / "zz.png")
    (folder / "ant" / "link to nothing.png").symlink_to(folder / "nowhere.png")
    (folder / "ant" / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="session")
def classifiers(tiny_recipe: Path) -> Cascade:
    """Two small classifiers with three classes, as a recipe has them."""
    experts = [
        load_expert(f"timm:{model}?checkpoint={tiny_recipe / name}.pth&num_classes=3&input_size=32")
        for name, model in (("small", "test_efficientnet"), ("medium", "test_resnet"))
    ]
    for expert, cost in zip(experts, (1.0, 2.0), strict=True):
        expert.cost = cost
    return Cascade(experts, Policy((0.5,)))
