"""A pipe or a device in the place of a file is an error by name: reading it would not end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orxe_plugins.confidence.gate import RankingGate
from orxe_plugins.data.masks import Mask
from orxe_plugins.data.reading import BadSampleError, read_image
from orxe_plugins.data.text_files import read_text
from orxe_plugins.detection.coco.annotation_file import read_annotations
from orxe_plugins.detection.sizes import stored_and_shown
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn.files import load_exits
from orxe_plugins.experts.checkpoints import read_state_dict
from orxe_plugins.util.content import tree_fingerprint
from orxe_plugins.util.files import regular
from orxe_plugins.util.json_files import read_json
from orxe_plugins.util.yaml_files import read_yaml

READERS: list[Callable[[Path], object]] = [
    RankingGate, load_exits, read_json, read_yaml, read_image, read_state_dict, read_annotations, tree_fingerprint,
    lambda path: Mask(path).pixels(), lambda path: read_text(path, "list"),
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_waits_for_a_pipe_or_reads_a_device(reader: Callable[[Path], object], tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe.safetensors", tmp_path / "link.safetensors"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for path in (pipe, link):
        with pytest.raises((OrxeError, OSError, BadSampleError)):
            reader(path)
        assert stored_and_shown(path) is None


def test_what_a_shell_hands_over_is_read() -> None:
    ends = os.pipe()
    os.write(ends[1], b"a: 3\n")
    os.close(ends[1])
    assert read_yaml(Path(f"/dev/fd/{ends[0]}")) == {"a": 3}
    os.close(ends[0])
    with pytest.raises(FileNotFoundError):
        regular(Path("missing"))
