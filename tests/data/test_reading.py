"""One reader: what counts as an image, and what its pixels are."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from orxe_plugins.data.images import to_array, to_pil
from orxe_plugins.data.reading import IMAGE_SUFFIXES, BadSampleError, decode, image_files, read_image

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
WIDE = np.linspace(0, 65535, 35).round().astype(np.uint16).reshape(5, 7)
EXIF_TURN = 6  # the camera was held upright: turn by 90 degrees clockwise


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned_jpeg(pixels: np.ndarray = RGB) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = EXIF_TURN
    return saved(Image.fromarray(pixels), "JPEG", exif=exif)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
@given(wide=hnp.arrays(np.uint16, (3, 4)))
def test_sixteen_bits_are_scaled_by_their_high_byte(kind: str, wide: np.ndarray) -> None:
    pixels = np.asarray(decode(saved(Image.fromarray(wide), kind)))
    np.testing.assert_array_equal(pixels, np.repeat((wide >> 8).astype(np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize("greatest", [65535, 4095])
def test_wide_grey_maps_cover_their_own_range(greatest: int) -> None:
    values = np.array([[0, greatest // 2, greatest]], dtype=">u2")
    pixels = np.asarray(decode(b"P5 3 1 %d\n" % greatest + values.tobytes()))[0, :, 0]
    np.testing.assert_allclose(pixels, [0, 127, 255], atol=1)


def test_floats_in_0_to_1_are_scaled_and_others_refused() -> None:
    values = np.array([[0, 0.5, 1]], dtype=np.float32)
    assert np.asarray(decode(saved(Image.fromarray(values), "TIFF")))[0, :, 0].tolist() == [0, 128, 255]
    for wrong in (values * 255, values - 1, values * np.nan):
        with pytest.raises(BadSampleError, match=r"holds floats from .*: expected values in \[0, 1\]"):
            decode(saved(Image.fromarray(wrong), "TIFF"))
    with pytest.raises(BadSampleError, match="32-bit integers, whose range is not known"):
        decode(saved(Image.fromarray(WIDE.astype(np.int32)), "TIFF"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_originals_in_memory_have_the_pixels_of_their_file(mode: str) -> None:
    image = Image.fromarray(WIDE) if mode == "I;16" else Image.fromarray(RGB).convert(mode)
    data = saved(image, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG")
    pixels = np.asarray(decode(data))
    with Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(to_array(opened), pixels)
        np.testing.assert_array_equal(np.asarray(to_pil(opened).convert("RGB")), pixels)


@given(wide=hnp.arrays(np.uint16, st.sampled_from([(3, 4), (3, 4, 3)])))
def test_wide_arrays_are_scaled_as_wide_files_are(wide: np.ndarray) -> None:
    narrow = (wide >> 8).astype(np.uint8)
    np.testing.assert_array_equal(to_array(wide), to_array(narrow))
    if wide.ndim == 2:
        np.testing.assert_array_equal(to_array(wide), np.asarray(decode(saved(Image.fromarray(wide), "PNG"))))


def test_transparency_is_dropped_and_the_first_frame_taken() -> None:
    palette = Image.fromarray(RGB).quantize(16)
    assert decode(saved(palette, "PNG", transparency=3)).tobytes() == decode(saved(palette, "PNG")).tobytes()
    colours = [Image.new("RGB", (4, 3), name) for name in ("red", "lime")]
    moving = saved(colours[0], "GIF", save_all=True, append_images=colours[1:])
    assert decode(moving).getpixel((0, 0)) == (255, 0, 0)


def test_the_cameras_note_turns_an_image_only_where_it_is_asked_for() -> None:
    data = turned_jpeg()
    stored = np.asarray(decode(data))
    assert stored.shape == RGB.shape
    np.testing.assert_array_equal(np.asarray(decode(data, turn=True)), np.rot90(stored, -1))
    wide = Image.fromarray(WIDE)
    exif = Image.Exif()
    exif[0x0112] = EXIF_TURN
    pixels = np.asarray(decode(saved(wide, "PNG", exif=exif), turn=True))[..., 0]
    np.testing.assert_array_equal(pixels, np.rot90((WIDE >> 8).astype(np.uint8), -1))


def test_a_broken_note_of_the_camera_does_not_matter() -> None:
    data = saved(Image.fromarray(RGB), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(data, turn=True).tobytes() == decode(data).tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"no image", "not an image file"),
        (saved(Image.fromarray(RGB), "PNG")[:60], "cannot be decoded"),
        (turned_jpeg()[:-40], "cannot be decoded"),
    ],
)
def test_what_cannot_be_read_is_one_error(data: bytes, message: str) -> None:
    for turn in (False, True):
        with pytest.raises(BadSampleError, match=message):
            decode(data, turn)


def test_missing_files_and_links_are_errors_of_one_sample(tmp_path: Path) -> None:
    with pytest.raises(BadSampleError, match="no file can have this name"):
        read_image(tmp_path / "a\0.png")
    with pytest.raises(BadSampleError, match="the file is missing"):
        read_image(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(BadSampleError, match="a link to a file that does not exist"):
        read_image(tmp_path / "b.png")
    with pytest.raises(BadSampleError, match="cannot be read: is a directory"):
        read_image(tmp_path)


def test_all_that_pillow_reads_is_listed_in_any_case_and_the_rest_is_named(tmp_path: Path) -> None:
    assert {".jfif", ".webp", ".jp2", ".tga", ".png"} <= set(IMAGE_SUFFIXES)
    assert not {".pdf", ".eps", ".h5", ".mpg", ".txt"} & set(IMAGE_SUFFIXES)
    images = ["a.jfif", "b.WEBP", "deep/er/c.PNG", "e f.Jpg"]
    for name in (*images, "notes.txt", "labels.csv", "g.heic.bak", "h", ".hidden.png", "Thumbs.db", "__MACOSX/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1234")
    listed = image_files(tmp_path)
    assert listed.images == tuple(images)
    assert listed.sizes == (4,) * 4
    assert listed.notes() == ("4 of 8 files are left out (no image): g.heic.bak, h, labels.csv and 1 more",)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (data / "in", elsewhere):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"1")
    (data / "b.png").symlink_to(elsewhere / "a.png")
    (data / "linked").symlink_to(elsewhere)
    (data / "in" / "up").symlink_to(tmp_path)
    (data / "in" / "self.png").symlink_to(data / "in" / "self.png")
    (data / "gone.png").symlink_to(tmp_path / "gone.png")
    listed = image_files(data)
    assert listed.images == ("b.png", "in/a.png", "linked/a.png")
    assert dict(listed.left_out) == {
        "gone.png": "link to nothing",
        "in/self.png": "link to nothing",
        "in/up": "link back to a folder that holds it",
    }


def test_what_is_no_regular_file_or_has_no_readable_name_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(b"1")
    notes = image_files(tmp_path).notes()
    assert set(notes) == {
        "1 of 2 files is left out (no regular file): pipe.png",
        "1 of 2 files is left out (name is no valid UTF-8): caf\\udce9.png",
    }
