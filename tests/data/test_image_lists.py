"""Images with numbers in a table, and images with masks."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.data.datasets import BadSampleError
from orxe_plugins.data.image_lists import table_of_images
from orxe_plugins.data.masks import images_with_masks


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        Image.new("L", (4, 3), 50).save(tmp_path / f"{name}.png")
    (tmp_path / "targets.csv").write_text("image,age\nc.png,3\na.png,1.5\nb.png,-2e1\n")
    return tmp_path


def test_a_table_of_images_is_in_one_order(table: Path) -> None:
    dataset = table_of_images(table)
    assert dataset.sample_ids == ["a.png", "b.png", "c.png"]
    assert dataset.targets == [1.5, -20.0, 3.0]
    assert dataset.load(0).mode == "RGB"
    assert dataset.load(0).size == (4, 3)
    part = dataset.select([2, 0])
    assert list(part.sample_ids) == ["c.png", "a.png"]
    assert list(part.targets) == [3.0, 1.5]


def test_the_fingerprint_covers_targets_and_files_but_not_the_order_of_lines(table: Path) -> None:
    before = table_of_images(table).fingerprint
    (table / "targets.csv").write_text("image,age\na.png,1.5\nb.png,-20\nc.png,3\n")
    assert table_of_images(table).fingerprint == before
    (table / "targets.csv").write_text("image,age\na.png,1.5\nb.png,-20\nc.png,4\n")
    assert table_of_images(table).fingerprint != before
    assert table_of_images(table).name == table.name


def test_several_columns_make_a_tuple(table: Path) -> None:
    (table / "targets.csv").write_text("x,image,y\n1,a.png,2\n")
    assert table_of_images(table).targets == [(1.0, 2.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,age\na.png,old\n", "line 2: .*old.* are not numbers"),
        ("image,age\na.png,nan\n", "line 2: .* are not finite"),
        ("image,age\na.png\n", "line 2: 1 cells, but the table has 2 columns"),
        (f"image,age\n{'a' * 300}.png,1\n", "is no path below"),
        (f"image,age\n{'b' * 300}/a.png,1\n", "is no path below"),
        (f"image,age\n{'é' * 200}.png,1\n", "does not exist"),  # more bytes than a name may have
        ("image,age\nnowhere.png,1\n", "'nowhere.png' does not exist; a path is relative to"),
        ("image,age\na.png,1\na.png,2\n", "line 3: image 'a.png' is named twice"),
        ("file,age\na.png,1\n", "columns .*file.*: expected 'image'"),
        ("image\na.png\n", "expected 'image' and at least one more"),
        ("image,age\n", "lists no image"),
    ],
)
def test_a_faulty_table_is_named_with_its_line(table: Path, content: str, message: str) -> None:
    (table / "targets.csv").write_text(content)
    with pytest.raises(OrxeError, match=message):
        table_of_images(table)


def test_a_folder_without_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="no table .*targets.csv"):
        table_of_images(tmp_path)


def test_a_broken_image_is_a_bad_sample(table: Path) -> None:
    (table / "a.png").write_bytes(b"no image")
    with pytest.raises(BadSampleError):
        table_of_images(table).load(0)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (4, 3)).save(tmp_path / "images" / f"{name}.jpg")
        Image.fromarray(np.full((3, 4), 255 if name == "b" else 2, np.uint8)).save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfimage,age\r\na.png,1.5\r\n",
        b"image;age\na.png;1,5\n",
        b"image\tage\n./a.png\t1.5\n\n",
        b" Image , age \n a.png , 1.5 \n",
        b'"image","age"\n"a.png","1.5"\n',
        "image,age\r\na.png,1.5\r\n".encode("utf-16"),
    ],
)
def test_tables_as_spreadsheets_write_them(table: Path, content: bytes) -> None:
    (table / "targets.csv").write_bytes(content)
    dataset = table_of_images(table)
    assert (dataset.sample_ids, dataset.targets) == (["a.png"], [1.5])


def test_paths_of_other_systems_are_found_and_images_without_a_row_noted(table: Path) -> None:
    (table / "more").mkdir()
    name = unicodedata.normalize("NFD", "caf\u00e9.png")
    (table / "a.png").rename(table / "more" / name)
    text = "image,age\nmore\\caf\u00e9.png,1\n"
    (table / "targets.csv").write_text(text, encoding="utf-8")
    dataset = table_of_images(table)
    assert dataset.sample_ids == [f"more/{name}"]
    assert dataset.load(0).size
    others = sum(path.suffix == ".png" for path in table.iterdir())
    assert len(dataset.notes) == (others > 0)
    Image.new("RGB", (4, 3)).save(table / "new.png")
    assert re.search(r"not in targets\.csv, so they are left out: .*new\.png", " ".join(table_of_images(table).notes))
    (table / "targets.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(OrxeError, match=r"line 2: not UTF-8 text"):
        table_of_images(table)


def test_masks_are_class_indices(masks: Path) -> None:
    dataset = images_with_masks(masks)
    assert dataset.sample_ids == ["images/a.jpg", "images/b.jpg"]
    pixels = dataset.targets[0].pixels()
    assert pixels.dtype == np.int64
    assert pixels.shape == (3, 4)
    assert (pixels == 2).all()
    # A palette says how a mask looks; its indices are the classes.
    image = Image.fromarray(np.full((3, 4), 1, np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(masks / "masks" / "a.png")
    assert (dataset.targets[0].pixels() == 1).all()


def test_missing_masks_and_folders_are_named(masks: Path, tmp_path: Path) -> None:
    before = images_with_masks(masks).fingerprint
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (3, 4)).astype(np.uint8)).save(masks / "masks" / "a.png")
    assert images_with_masks(masks).fingerprint != before
    (masks / "masks" / "b.png").unlink()
    with pytest.raises(OrxeError, match=r"b\.jpg' has no mask: expected"):
        images_with_masks(masks)
    with pytest.raises(OrxeError, match="expected the folders images/ and masks/"):
        images_with_masks(masks / "images")
