"""Odd names of class folders: numbered as timm and torchvision do, or refused where these differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from orxe_plugins import OrxeError
from orxe_plugins.data.datasets import ImageFolder

pytest.importorskip("timm")
pytest.importorskip("torchvision")

#: class folders, and whose numbers they get
FOLDERS: dict[str, tuple[tuple[str, ...], str]] = {
    "plain": (("ant", "bee", "cat"), "as both"),
    "indices": (tuple(str(i) for i in range(12)), "as timm"),
    "padded indices": (tuple(f"{i:02d}" for i in range(12)), "as both"),
    "counted from 1": (tuple(str(i) for i in range(1, 13)), "error"),
    "numbers in names": (("class 2", "class 10"), "error"),
    "capitals": (("Zebra", "ant"), "error"),
    "letters with accents": (("apple", "\u00e9t\u00e9"), "as both"),
    "WordNet ids": (("n01440764", "n01443537", "n02128757"), "as both"),
}


def test_each_odd_folder_is_numbered_as_the_frameworks_do_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from timm.data import ImageDataset
    from torchvision.datasets import ImageFolder as TorchvisionFolder

    words: dict[str, str] = {}
    for name, (folders, _) in FOLDERS.items():
        for folder in folders:
            (tmp_path / name / folder).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(tmp_path / name / folder / "a.png")
        theirs = {
            "timm": ImageDataset(str(tmp_path / name)).reader.class_to_idx,
            "torchvision": TorchvisionFolder(tmp_path / name).class_to_idx,
        }
        try:
            classes = ImageFolder(tmp_path / name).classes
        except OrxeError as error:
            assert "synsets.txt" in str(error)
            words[name] = "error"
            continue
        same = [key for key, indices in theirs.items() if indices == classes]
        words[name] = "as both" if len(same) == 2 else f"as {', '.join(same) or 'nobody'}"
    with capsys.disabled():
        print("\n" + "\n".join(f"{name:<22}{word}" for name, word in words.items()))
    assert words == {name: word for name, (_, word) in FOLDERS.items()}
