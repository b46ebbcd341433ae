"""Masks: class indices in PNG files of every depth; what is no class index is refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.data.masks import Mask, images_with_masks
from orxe_plugins.data.reading import BadSampleError

CLASSES = np.array([[0, 1, 1, 0], [1, 0, 0, 1]], dtype=np.uint8)


def shallow_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG file with 1, 2 or 4 bits per pixel, which Pillow does not write."""
    rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes() for row in values]
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
        (b"IEND", b""),
    ]
    chunks = (struct.pack(">I", len(data)) + n + data + struct.pack(">I", zlib.crc32(n + data)) for n, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one image of 4 x 2 pixels and its mask."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (4, 2)).save(tmp_path / "images" / "a.jpg")
    Image.fromarray(CLASSES).save(tmp_path / "masks" / "a.png")
    return tmp_path


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_one_channel_holds_class_indices_at_any_depth(data: Path, mode: str) -> None:
    mask = {
        "1": Image.fromarray(CLASSES.astype(bool)),
        "L": Image.fromarray(CLASSES),
        "P": Image.fromarray(CLASSES).convert("P"),
        "I;16": Image.fromarray(CLASSES.astype(np.uint16)),
    }[mode]
    if mode == "P":
        mask = Image.fromarray(CLASSES, "P")
        mask.putpalette([9, 9, 9, 255, 0, 0])
    mask.save(data / "masks" / "a.png")
    assert mask.mode == mode
    pixels = images_with_masks(data).targets[0].pixels()
    assert pixels.dtype == np.int64
    np.testing.assert_array_equal(pixels, CLASSES)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_not_spread_over_all_grey_values(data: Path, bits: int) -> None:
    values = np.arange(8, dtype=np.uint8).reshape(2, 4) % 2**bits
    (data / "masks" / "a.png").write_bytes(shallow_png(values, bits))
    np.testing.assert_array_equal(images_with_masks(data).targets[0].pixels(), values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_are_refused_by_the_files_name(data: Path, mode: str) -> None:
    Image.new(mode, (4, 2)).save(data / "masks" / "a.png")
    with pytest.raises(OrxeError, match=rf"a\.png' holds {mode} pixels, not class indices: save the class index"):
        images_with_masks(data)


def test_a_jpeg_with_the_suffix_of_a_png_is_refused(data: Path) -> None:
    Image.new("L", (4, 2)).save(data / "masks" / "a.png", "JPEG")
    with pytest.raises(OrxeError, match=r"a\.png' holds JPEG content, not class indices"):
        images_with_masks(data)


def test_objects_marked_by_255_are_refused_before_anything_is_recorded(data: Path) -> None:
    Image.fromarray(CLASSES * 255).save(data / "masks" / "a.png")
    with pytest.raises(OrxeError, match="no values but 0 and 255, .* if 255 marks an object, save it as 1"):
        images_with_masks(data)
    # One more mask with a class in it: 255 is what it says, a border that does not count.
    Image.new("RGB", (4, 2)).save(data / "images" / "b.jpg")
    Image.fromarray(CLASSES).save(data / "masks" / "b.png")
    assert len(images_with_masks(data)) == 2


def test_a_mask_must_fit_its_image_as_it_is_stored(data: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(data / "images" / "a.jpg", exif=exif)
    assert images_with_masks(data).load(0).size == (4, 2)
    Image.fromarray(CLASSES.T.copy()).save(data / "masks" / "a.png")
    with pytest.raises(OrxeError, match=r"a\.png' has 2 x 4 pixels, but image 'images/a\.jpg' has 4 x 2 \(as stored"):
        images_with_masks(data).load(0)


def test_a_broken_mask_is_a_bad_sample(data: Path) -> None:
    Image.new("RGB", (4, 2)).save(data / "images" / "b.jpg")
    (data / "masks" / "b.png").write_bytes((data / "masks" / "a.png").read_bytes()[:50])
    dataset = images_with_masks(data)
    with pytest.raises(BadSampleError, match=r"mask .*b\.png' cannot be read"):
        dataset.load(1)
    with pytest.raises(BadSampleError, match="nowhere"):
        Mask(data / "nowhere.png").pixels()


def test_what_has_no_partner_is_named(data: Path) -> None:
    (data / "masks" / "a.png").rename(data / "masks" / "a.PNG")
    Image.fromarray(CLASSES).save(data / "masks" / "old.png")
    (data / "images" / "Thumbs.db").write_bytes(b"1")
    (data / "images" / "a.xml").write_bytes(b"1")
    notes = images_with_masks(data).notes
    assert notes == (
        "1 of 2 files is left out (no image): a.xml",
        "1 mask belongs to no image, and is left out: old.png",
    )
    Image.new("RGB", (4, 2)).save(data / "images" / "a.bmp")
    with pytest.raises(OrxeError, match=r"images 'a\.bmp' and 'a\.jpg' share the mask 'a\.PNG': remove one"):
        images_with_masks(data)
    (data / "images" / "a.bmp").rename(data / "images" / "c.bmp")
    Image.new("L", (4, 2)).save(data / "masks" / "c.jpg")
    with pytest.raises(OrxeError, match=r"c\.bmp' has no mask: expected .*c\.png'; 'c\.jpg' is no PNG file"):
        images_with_masks(data)
