from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.labels import match_labels, normalise_label
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.label_space import LabelSpace, shared_labels

LABELS = st.lists(st.text("abcXYZ _", min_size=1), unique_by=normalise_label, min_size=1, max_size=8)


@given(names=LABELS, seed=st.integers(0, 1000))
def test_any_order_and_spelling_is_matched(names: list[str], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(names))
    shuffled = [names[i].upper().replace(" ", "_") for i in order]
    index = match_labels(shuffled, names)
    assert index.tolist() == order.tolist()


def test_coco_names_of_the_frameworks_are_one_space() -> None:
    torchvision = pytest.importorskip("torchvision")
    categories = torchvision.models.get_model_weights("retinanet_resnet50_fpn")["COCO_V1"].meta["categories"]
    names = [name for name in categories[1:] if name != "N/A"]
    pytest.importorskip("orxe_mmdet")
    coco = pytest.importorskip("mmdet.datasets").CocoDataset.METAINFO["classes"]
    assert match_labels(names, coco).tolist() == list(range(80))


def test_a_remap_goes_before_names() -> None:
    assert match_labels(["motorbike", "cat"], ["cat", "motorcycle"], {"Motorbike": "motorcycle"}).tolist() == [1, 0]
    assert match_labels(["cat", "dog"], ["cat"], {"dog": None}).tolist() == [0, -1]
    assert match_labels(["cat", "kitten"], ["cat"], {"kitten": "cat"}).tolist() == [0, 0]


def test_what_is_left_over_may_be_allowed() -> None:
    assert match_labels(["cat", "cow"], ["cat"], allow_extra=True).tolist() == [0, -1]
    assert match_labels(["cat"], ["dog", "cat"], allow_missing=True).tolist() == [1]


@pytest.mark.parametrize(
    ("one", "other", "remap", "message"),
    [
        (["cat", "cow"], ["cat"], {}, "only the labels have 'cow'.*`classes: data` drops labels"),
        (["cat"], ["cat", "cow"], {}, "only the wanted labels have 'cow'.*`classes: intersect` keeps"),
        (["motorbike"], ["motorcycle"], {}, "`remap: {'motorbike': 'motorcycle'}` says"),
        (["cat", "Cat"], ["cat"], {}, "hold 'Cat' twice, at 0 and 1"),
        (["cat"], ["cat"], {"cta": "cat"}, "unknown label in the remap of the labels 'cta': did you mean 'cat'"),
        (["cat"], ["cat"], {"cat": "cta"}, "unknown label of the wanted labels 'cta': did you mean 'cat'"),
    ],
)
def test_a_mismatch_is_named(one: list[str], other: list[str], remap: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        match_labels(one, other, remap)


class Fixed(DetectorExpert):
    """One box for each label."""

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        k = len(self.names)
        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(k, 1)
        return [Detections(boxes, torch.full((k,), 0.5), torch.arange(k), self.names) for _ in batch]


def expert(*names: str) -> Fixed:
    return Fixed("fixed", nn.Identity(), names=names)


def test_detectors_answer_in_the_space_of_the_first_without_a_remap() -> None:
    first, second = expert("auto", "bird"), expert("bird", "car")
    labels = shared_labels([first, second], LabelSpace(remap={"auto": "car"}))
    assert labels[first].names == labels[second].names == ("bird", "car")
    (found,) = first.run([None], BatchContext(1, CascadeSetup(labels=labels))).outputs
    assert [found.names[i] for i in found.labels.tolist()] == ["car", "bird"]
    (alone,) = first.run([None]).outputs
    assert alone.names == first.answer_names == ("auto", "bird")
    assert first.remap == {}


def test_confidence_is_taken_without_dropped_labels_and_before_calibration() -> None:
    one = expert("cat", "dog")
    one.remap = {"dog": None}
    one.remap_to(["cat"])
    answers = one.run([None])
    assert answers.confidence.tolist() == [0.5]
    assert len(answers.outputs[0]) == 1
    one.remap = {"cat": None, "dog": None}
    with pytest.raises(OrxeError, match="only the labels asked for have 'cat'"):
        one.remap_to(["cat"])
