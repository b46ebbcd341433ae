"""Class folders: which class each of them is, and when that is not clear."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.data.class_folders import natural_key, number_folders, read_class_map
from orxe_plugins.data.datasets import ImageFolder, check_same_folders, folders_without_map

PLACE = Path("data")


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 3)).save(root / name / "a.png")
    return root


@pytest.mark.parametrize("digits", [0, 1, 4])
def test_folders_named_by_indices_are_those_classes(digits: int) -> None:
    names = sorted(str(index).zfill(digits) for index in range(12))
    numbering = number_folders(names, None, PLACE)
    assert numbering.indices == {name: int(name) for name in names}
    assert not numbering.unmapped
    assert numbering.notes == ("the 12 class folders are named by their class indices",)


@pytest.mark.parametrize(
    "names",
    [[str(i) for i in range(1, 11)], ["class10", "class9"], ["Zebra", "ant"], ["a-2", "a-10", "b"], ["-1", "0", "10"]],
)
def test_orders_that_differ_demand_a_class_map(names: list[str]) -> None:
    with pytest.raises(OrxeError, match=r"no clear order: in plain order class \d+ is .* in natural order .*synsets"):
        number_folders(sorted(names), None, PLACE)
    mapping = {name: index for index, name in enumerate(names)}
    assert number_folders(sorted(names), mapping, PLACE).indices == mapping


@given(names=st.sets(st.text("aB19²é ", min_size=1, max_size=4), min_size=1, max_size=6))
def test_what_is_counted_is_counted_alike_by_all_frameworks(names: set[str]) -> None:
    plain = sorted(names)
    try:
        numbering = number_folders(plain, None, PLACE)
    except OrxeError:
        assert plain != sorted(names, key=natural_key)
        return
    if numbering.unmapped:
        assert list(numbering.indices) == plain == sorted(plain, key=natural_key)
    else:
        assert numbering.indices == {name: int(name) for name in names}


@pytest.mark.parametrize(
    "content",
    [
        b"ant\nbee\ncat\n",
        b"\xef\xbb\xbfant\r\nbee\r\ncat",
        b"ant\rbee\rcat\r",
        b'"ant"\n"bee"\n"cat"\n\n\n',
        b"bee 1\nant 0\ncat 2\n",
        b"1 bee\n0 ant\n2 cat\n",
        b"1: bee\n\n0: ant\n2: cat\n",
        b"bee,1\nant,0\ncat,2\n",
        b"1;bee\n0;ant\n2;cat\n",
        b"ant\t0\nbee\t1\ncat\t2",
        b"ant a small insect\nbee it flies\ncat it sleeps\n",
        "ant\nbee\ncat\n".encode("utf-16"),
        "ant\nbee\ncat\n".encode("utf-32"),
    ],
)
def test_class_maps_as_people_write_them(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(content)
    indices = number_folders(["ant", "bee", "cat"], file, PLACE).indices
    assert indices == {"ant": 0, "bee": 1, "cat": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ant\n\nbee\ncat\n", "empty line 2: each line's number is a class index"),
        (b"ant\nbee\nbee\ncat\n", "names class 'bee' twice"),
        (b"ant\nbee\n", r"'cat' is not in class map .* names 2 classes, such as ant, bee"),
        (b"n1 2 ant\nn2 1 bee\nn3 3 cat\n", r"'ant' \(and 2 more\) is not in class map"),
        (b"b\xe9e\n", "line 1: not UTF-8 text; save it as UTF-8"),
        ("ant\n".encode("utf-16-le"), "no text file, or UTF-16 without a mark"),
        (b"", "is not in class map"),
    ],
)
def test_class_maps_that_say_nothing_clear_are_one_error(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(content)
    with pytest.raises(OrxeError, match=message):
        number_folders(["ant", "bee", "cat"], file, PLACE)
    with pytest.raises(OrxeError, match="does not exist"):
        number_folders(["ant"], tmp_path / "nowhere.txt", PLACE)


def test_a_class_map_of_numbers_must_say_which_is_the_name(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("0 1\n1 0\n")
    assert read_class_map(file, ["0", "1"]) == {"0": 1, "1": 0}
    file.write_text("0 1\n1 2\n2 0\n")
    with pytest.raises(OrxeError, match="can be read as `name index` and as `index name`"):
        read_class_map(file, ["0", "1", "2"])
    assert read_class_map(file, ["0", "1", "2"][:0]) is not None


@pytest.mark.parametrize(("on_disk", "in_file"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_letters_with_accents_are_the_same_in_both_forms(tmp_path: Path, on_disk: str, in_file: str) -> None:
    name = "caf\u00e9"
    folders(tmp_path, unicodedata.normalize(on_disk, name), "bar")  # type: ignore[arg-type]
    text = f"{unicodedata.normalize(in_file, name)}\nbar\n"  # type: ignore[arg-type]
    (tmp_path / "synsets.txt").write_text(text, encoding="utf-8")
    assert sorted(ImageFolder(tmp_path).classes.values()) == [0, 1]


def test_what_is_left_out_of_class_folders_is_noted(tmp_path: Path) -> None:
    folders(tmp_path, "ant", "bee")
    for name in ("cat", ".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / name).mkdir()
    (tmp_path / "bee" / "notes.txt").write_text("no image")
    (tmp_path / "loose.png").write_bytes(b"1")
    (tmp_path / "bee" / "gone.jpg").symlink_to("nowhere")
    dataset = ImageFolder(tmp_path)
    assert dataset.sample_ids == ["ant/a.png", "bee/a.png"]
    assert dataset.notes == (
        "1 of 5 files is left out (in no class folder): loose.png",
        "1 of 5 files is left out (link to nothing): bee/gone.jpg",
        "1 of 5 files is left out (no image): bee/notes.txt",
        "1 class folder holds no image, and keeps its number: cat (class 2)",
    )
    assert dataset.select([1]).select([0]).notes == dataset.notes


def test_links_that_would_shift_or_mix_classes_are_refused(tmp_path: Path) -> None:
    folders(tmp_path / "data", "ant", "cat")
    (tmp_path / "data" / "bee").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OrxeError, match=r"bee is a link to nothing: mend or remove it"):
        ImageFolder(tmp_path / "data")
    (tmp_path / "data" / "bee").unlink()
    (tmp_path / "data" / "bee").symlink_to(tmp_path)
    with pytest.raises(OrxeError, match=r"bee' is a link to a folder that holds it"):
        ImageFolder(tmp_path / "data")
    (tmp_path / "data" / "bee").unlink()
    (tmp_path / "data" / "bee").symlink_to(folders(tmp_path / "other", "bee") / "bee")
    assert ImageFolder(tmp_path / "data").sample_ids == ["ant/a.png", "bee/a.png", "cat/a.png"]


def test_folders_that_are_counted_in_two_data_sets_must_be_the_same(tmp_path: Path) -> None:
    first, second = folders(tmp_path / "1", "ant", "bee", "cat"), folders(tmp_path / "2", "ant", "bee", "dog")
    datasets = [ImageFolder(first), ImageFolder(second)]
    with pytest.raises(OrxeError, match="different class folders, .* only one of them has cat, dog"):
        check_same_folders(datasets[0].select([0]), datasets[1:])
    check_same_folders(datasets[0], [datasets[0]])
    mapping = {"ant": 0, "bee": 1, "cat": 2, "dog": 3}
    check_same_folders(ImageFolder(first, mapping), [ImageFolder(second, mapping)])
    assert folders_without_map(datasets[0].select([0])) == 3
    assert folders_without_map(ImageFolder(first, mapping)) is None
