from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from orxe_plugins import Cascade, Expert, ExpertSpec, OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.cascade.build import build_cascade
from orxe_plugins.cascade.file import CascadeFile, write_cascade
from orxe_plugins.detection.detections import Detections
from orxe_plugins.experts.detector import DetectorExpert

TINY = "shufflenet_v2_x0_5"
NAMES = [f"{TINY}?weights=none&num_classes=3", f"torchvision:{TINY}?weights=none&num_classes=3"]


class Fixed(DetectorExpert):
    """Answers every image with one box of label 0."""

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        return [Detections(box, torch.tensor([0.5]), torch.tensor([0]), self.names) for _ in batch]


def fixed(name: str, *labels: str) -> Fixed:
    return Fixed(name, nn.Identity(), names=labels, cost=1.0)


def folder_of(path: Path, task: str = "classification") -> Path:
    rows = (PolicyRow(0.0, Policy((0.0,)), 1.0, 0.5), PolicyRow(1.0, Policy((None,)), 2.0, 0.9))
    specs = tuple(ExpertSpec(f"torchvision:{TINY}", options={"weights": None, "num_classes": 3}) for _ in range(2))
    write_cascade(path, CascadeFile(specs, PolicyTable(rows), task))
    return path


def test_addresses_without_an_adapter_are_the_fronts_own() -> None:
    cascade = build_cascade(NAMES, adapter="torchvision", exit_thresholds=[0.7])
    assert [expert.name for expert in cascade.members] == [f"torchvision:{NAMES[0]}", NAMES[1]]
    assert cascade.policy == Policy((0.7,))
    assert cascade(torch.rand(2, 3, 64, 64)).shape == (2, 3)


def test_checkpoints_and_options_reach_their_expert(tmp_path: Path) -> None:
    source = build_cascade(NAMES[:1], adapter="torchvision", exit_thresholds=[]).members[0]
    torch.save(source.module.state_dict(), tmp_path / "small.pth")
    built = build_cascade(
        [f"{TINY}?weights=none", {"address": f"torchvision:{TINY}", "name": "second", "cost": 9.0}],
        adapter="torchvision",
        checkpoints=[tmp_path / "small.pth", None],
        expert_kwargs=[None, {"weights": None, "num_classes": 3}],
        exit_thresholds=[0.5],
        num_classes=3,
    )
    first, second = built.members
    x = torch.rand(1, 3, 224, 224)
    assert torch.equal(first.module(x), source.module(x))
    assert (second.name, second.cost) == ("second", 9.0)
    assert second.module(x).shape == (1, 3)


def test_common_options_stay_with_the_fronts_adapter_and_do_not_overrule_an_expert() -> None:
    built = build_cascade([TINY], adapter="torchvision", exit_thresholds=[], weights=None, num_classes=5)
    assert built.members[0].module(torch.rand(1, 3, 64, 64)).shape == (1, 5)
    mixed = build_cascade(
        [f"{TINY}?num_classes=4", "timm:test_resnet.r160_in1k?pretrained=false&num_classes=4"],
        adapter="torchvision",
        exit_thresholds=[0.5],
        weights=None,
        num_classes=5,
    )
    assert mixed(torch.rand(1, 3, 64, 64)).shape == (1, 4)


def test_a_folder_brings_its_thresholds(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert build_cascade(cascade=folder, adapter="timm", preference=1.0).policy == Policy((None,))
    assert build_cascade(cascade=folder, adapter="timm", exit_thresholds=[0.3]).policy == Policy((0.3,))
    with pytest.raises(OrxeError, match="is for classification: expected detection"):
        build_cascade(cascade=folder, adapter="timm", task="detection")


def test_a_cascade_is_taken_as_it_is() -> None:
    cascade = Cascade([fixed("a", "cat"), fixed("b", "cat")], Policy((0.5,)))
    assert build_cascade(cascade=cascade, adapter="torchvision", task="detection") is cascade
    assert cascade.policy == Policy((0.5,))
    build_cascade(cascade=cascade, adapter="torchvision", exit_thresholds=[None])
    assert cascade.policy == Policy((None,))


def test_detectors_answer_in_the_labels_asked_for() -> None:
    experts = [fixed("a", "automobile", "bird"), fixed("b", "bird", "car")]
    with pytest.raises(OrxeError, match="`remap: {'bird': 'automobile'}|`remap: {'car': 'automobile'}` says"):
        build_cascade(experts, adapter="torchvision", exit_thresholds=[0.5])
    cascade = build_cascade(experts, adapter="torchvision", exit_thresholds=[0.5], remap={"automobile": "car"})
    found, _ = cascade.route([torch.zeros(3, 4, 4)])
    assert found[0].names == ("bird", "car")
    assert found[0].labels.tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either experts"),
        ({"experts": NAMES, "cascade": "folder"}, "either experts"),
        ({"experts": []}, "at least one expert"),
        ({"experts": "resnet18"}, "expected a list"),
        ({"experts": [3]}, "an expert is a int"),
        ({"experts": [{"adress": "resnet18"}]}, "its fields are address"),
        ({"experts": NAMES, "checkpoints": ["x"]}, "checkpoints is .* for 2 experts"),
        ({"experts": NAMES, "expert_kwargs": [{}, 3]}, "expected a mapping of options"),
        ({"experts": NAMES, "skip_thresholds": [0.1]}, "without exit_thresholds"),
        ({"experts": NAMES, "exit_thresholds": [0.1], "preference": 0.5}, "contradict"),
        ({"experts": NAMES, "exit_thresholds": 0.1}, "expected a list"),
        ({"experts": NAMES, "exit_thresholds": [1.2]}, r"exit_thresholds\[0\] is 1.2"),
        ({"experts": NAMES, "exit_thresholds": [0.1, 0.2]}, "2 exit_thresholds for 2 experts"),
        ({"experts": NAMES, "exit_thresholds": [0.1], "task": "detection"}, "is no detector"),
        ({"experts": [fixed("a", "cat")], "exit_thresholds": [], "task": "classification"}, "is no classifier"),
        ({"experts": [fixed("a", "cat")], "checkpoints": ["x"]}, "is built already"),
        (
            {"experts": [fixed("a", "cat")], "remap": {"cow": "cat"}, "exit_thresholds": []},
            "unknown label in the remap",
        ),
        ({"cascade": "nowhere"}, "no cascade at 'nowhere'"),
        ({"cascade": "nowhere", "num_classes": 3}, "num_classes cannot be given with cascade="),
    ],
)
def test_what_does_not_fit_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        build_cascade(**arguments, adapter="torchvision")


def test_a_plain_expert_may_be_handed_in() -> None:
    experts = [Expert("a", nn.Linear(4, 3), cost=1.0), Expert("b", nn.Linear(4, 3), cost=2.0)]
    cascade = build_cascade(experts, adapter="timm", exit_thresholds=[0.0], task="classification")
    assert cascade.route(torch.rand(5, 4))[1].expert.tolist() == [0] * 5
