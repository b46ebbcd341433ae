"""A file that is no image installs nothing, whatever another package made of Pillow's function."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from orxe_plugins.data.masks import Mask
from orxe_plugins.data.opening import _own, opened
from orxe_plugins.data.reading import BadSampleError, decode
from orxe_plugins.detection.sizes import stored_and_shown
from orxe_plugins.serving.options import Limits
from orxe_plugins.serving.uploads import RequestError, read_uploads

REPLACED = """
from PIL import UnidentifiedImageError
asked = []

def image_open(filename, *args, **kwargs):
    try:
        return _image_open(filename, *args, **kwargs)
    except UnidentifiedImageError:
        asked.append("pi-heif")
        raise
"""


def torn_everywhere(path: Path) -> None:
    """Every way to read an image."""
    path.write_bytes(b"no image at all")
    with pytest.raises(BadSampleError, match="not an image file"):
        decode(path.read_bytes())
    with pytest.raises(BadSampleError):
        Mask(path).pixels()
    with pytest.raises(RequestError):
        read_uploads(["bm8gaW1hZ2UgYXQgYWxs"], Limits(), False)
    assert stored_and_shown(path, verify=True) is None


def test_what_another_package_put_in_place_of_open_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: dict[str, Any] = {"__name__": "other", "_image_open": _own(Image.open)}
    exec(REPLACED, replaced)
    monkeypatch.setattr(Image, "open", replaced["image_open"])
    torn_everywhere(tmp_path / "a.png")
    assert replaced["asked"] == []
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, "PNG")
    with opened(buffer) as image:
        assert image.size == (3, 2)
    with pytest.raises(OSError, match="cannot identify"):
        opened(buffer, formats=("JPEG",))


def test_a_torn_image_does_not_let_ultralytics_install_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = pytest.importorskip("ultralytics.utils.checks")
    asked: list[Any] = []
    monkeypatch.setattr(checks, "check_requirements", lambda *names, **options: asked.append(names))
    torn_everywhere(tmp_path / "a.png")
    assert asked == []
