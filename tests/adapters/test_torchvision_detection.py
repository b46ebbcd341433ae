"""torchvision's detectors as experts, and cascades of detectors as torchvision models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from orxe_plugins import OrxeError, Policy
from orxe_plugins.detection.detections import Detections
from orxe_plugins.experts.detector import DetectorExpert

torchvision = pytest.importorskip("torchvision")
orxe_torchvision = pytest.importorskip("orxe_torchvision")
get_model = torchvision.models.get_model

SMALL, LARGE = "ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"
CLASSES = ["cat", "dog", "bird"]
COCO = tuple(torchvision.models.get_model_weights(SMALL)["COCO_V1"].meta["categories"])
#: few boxes, so that random weights are fast
OPTIONS = {"weights": None, "classes": CLASSES, "detections_per_img": 20}


@pytest.fixture(scope="module")
def model() -> Any:
    """ssdlite -> fasterrcnn with random weights."""
    torch.manual_seed(0)
    model = get_model("orxe_metamodel_detection", experts=[SMALL, LARGE], exit_thresholds=[0.5], **OPTIONS)
    # Random weights answer every image alike unless the norms fit them.
    small = model.cascade.members[0].module.train()
    for norm in (part for part in small.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        small.head(list(small.backbone(torch.rand(4, 3, 320, 320)).values()))
    small.eval()
    return model


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, *size, generator=generator) for size in ((90, 120), (64, 64), (90, 120))]


def standalone(model: Any, position: int) -> nn.Module:
    """The torchvision model that an expert was made of, built by torchvision alone."""
    name, prefix = [(SMALL, ""), (LARGE, "box_")][position]
    options = {f"{prefix}detections_per_img": 20, "num_classes": 4, "weights_backbone": None}
    alone = get_model(name, weights=None, **options)
    alone.load_state_dict(model.cascade.members[position].module.state_dict())
    return alone.eval()


def assert_same(found: Sequence[dict[str, Tensor]], expected: Sequence[dict[str, Tensor]], atol: float = 0.0) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert set(one) == {"boxes", "labels", "scores"}
        torch.testing.assert_close(dict(one), dict(other), rtol=0, atol=atol)


@torch.inference_mode()
@pytest.mark.parametrize(("policy", "position"), [(Policy((0.0,)), 0), (Policy((None,)), 1)])
def test_both_ends_equal_the_models_alone(model: Any, images: list[Tensor], policy: Policy, position: int) -> None:
    alone = standalone(model, position)
    with model.cascade.using(policy):
        for image in images:
            expected = alone([image])
            assert len(expected[0]["boxes"])
            assert_same(model([image]), expected)
        # Images of one size go through together, as in torchvision.
        assert_same(model([images[0], images[2]]), alone([images[0], images[2]]), atol=1e-3)


@torch.inference_mode()
def test_an_answer_does_not_depend_on_its_neighbours(model: Any, images: list[Tensor]) -> None:
    with model.cascade.using(Policy((None,))):
        together = model(images)
        for image, answer in zip(images, together, strict=True):
            assert_same([answer], model([image]), atol=1e-3)


@torch.inference_mode()
def test_in_between_each_image_has_the_answer_of_one_expert(model: Any, images: list[Tensor]) -> None:
    with model.cascade.using(Policy((0.0,))):
        confidence = model.route(images)[1].confidence
    with model.cascade.using(Policy((float(confidence.max()),))):
        answers = model(images)
        route = model.route(images)[1]
    assert route.expert.tolist() == (confidence < confidence.max()).int().tolist()
    assert set(route.expert.tolist()) == {0, 1}
    for position in (0, 1):
        mine = [i for i, expert in enumerate(route.expert.tolist()) if expert == position]
        alone = standalone(model, position)
        assert_same([answers[i] for i in mine], [alone([images[i]])[0] for i in mine], atol=1e-3)


def test_inputs_stay_as_they_are(model: Any, images: list[Tensor]) -> None:
    given, copies = list(images), [image.clone() for image in images]
    model(given)
    assert all(a is b for a, b in zip(given, images, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))


def test_grey_and_alpha_and_batched_images(model: Any, images: list[Tensor]) -> None:
    grey = images[1][:1].mul(255).round().div(255)
    with model.cascade.using(Policy((0.0,))), torch.inference_mode():
        expected = model([grey.repeat(3, 1, 1)])
        assert_same(model([grey]), expected, atol=1e-3)
        assert_same(model([torch.cat([grey, grey, grey, grey * 0])]), expected, atol=1e-3)
        assert_same(model(torch.stack([images[0], images[2]])), model([images[0], images[2]]))


def test_an_empty_batch_and_a_pixel(model: Any) -> None:
    assert model([]) == []
    (answer,) = model([torch.rand(3, 1, 1)])
    assert answer["boxes"].shape == (len(answer["scores"]), 4)


def test_what_is_no_image_is_named(model: Any) -> None:
    with pytest.raises(OrxeError, match=r"shape \(4, 4\)"):
        model([torch.rand(4, 4)])
    with pytest.raises(OrxeError, match="nothing is left of the shorter one"), model.cascade.using(Policy((None,))):
        model([torch.rand(3, 1, 4000)])


def test_train_mode_gives_the_losses_of_every_expert(images: list[Tensor]) -> None:
    model = get_model("orxe_metamodel_detection", experts=[SMALL, LARGE], exit_thresholds=[0.5], **OPTIONS)
    target = {"boxes": torch.tensor([[5.0, 5.0, 50.0, 45.0]]), "labels": torch.tensor([2])}
    model.train()
    torch.manual_seed(3)
    losses = model(images[:2], [target] * 2)
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert target["labels"].tolist() == [2]
    torch.manual_seed(3)
    for position, expert in enumerate(model.cascade.members):
        # Dropout and sampling draw the same numbers in the same order.
        for name, loss in expert.module(images[:2], [target] * 2).items():
            torch.testing.assert_close(losses[f"{position}_{name}"], loss)
    with pytest.raises(OrxeError, match="needs targets"):
        model(images)
    with pytest.raises(OrxeError, match="label 4, which is no object"):
        model(images[:1], [{**target, "labels": torch.tensor([4])}])
    with pytest.raises(OrxeError, match="label 0, which is no object"):
        model(images[:1], [{**target, "labels": torch.tensor([0])}])


class Fixed(DetectorExpert):
    """Answers every image with one box for each of its labels, or says that it is not sure."""

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        k = len(self.names)
        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(k, 1)
        return [Detections(boxes, torch.linspace(0.2, 0.9, k), torch.arange(k), self.names) for _ in batch]


def fixed(*names: str) -> Fixed:
    return Fixed("fixed", nn.Identity(), names=names, cost=1.0)


def labels_of(model: Any) -> list[int]:
    (answer,) = model([torch.rand(3, 32, 32)])
    assert answer["scores"].tolist() == sorted(answer["scores"].tolist(), reverse=True)
    return answer["labels"].tolist()


def test_coco_labels_have_coco_numbers() -> None:
    names = [name for name in COCO[1:] if name != "N/A"]
    model = get_model("orxe_metamodel_detection", experts=[fixed(*names)], exit_thresholds=[])
    assert model.categories == COCO
    assert sorted(labels_of(model)) == [i for i, name in enumerate(COCO) if i and name != "N/A"]
    assert COCO[labels_of(model)[0]] == "toothbrush"


def test_other_labels_are_numbered_from_one_or_as_asked() -> None:
    model = get_model("orxe_metamodel_detection", experts=[fixed("cow", "owl")], exit_thresholds=[])
    assert (model.categories, labels_of(model)) == (("__background__", "cow", "owl"), [2, 1])
    wanted = ["__background__", "owl", "N/A", "cow"]
    model = get_model("orxe_metamodel_detection", experts=[fixed("cow", "owl")], categories=wanted, exit_thresholds=[])
    assert labels_of(model) == [1, 3]


def test_labels_of_another_spelling_and_order_are_trained_by_name(images: list[Tensor]) -> None:
    model = get_model(
        "orxe_metamodel_detection",
        experts=[SMALL],
        exit_thresholds=[],
        categories=["__background__", "bird", "puppy", "Cat"],
        remap={"dog": "puppy"},
        **OPTIONS,
    )
    expert = model.cascade.members[0]
    target = {"boxes": torch.tensor([[5.0, 5.0, 50.0, 45.0]]), "labels": torch.tensor([2])}
    model.train()
    found = model(images[:2], [target] * 2)
    own = {**target, "labels": torch.tensor([CLASSES.index("dog") + 1])}
    expected = expert.module(images[:2], [own] * 2)
    torch.testing.assert_close(found["0_classification"], expected["classification"])


def test_experts_of_other_frameworks_are_not_trained() -> None:
    model = get_model("orxe_metamodel_detection", experts=[fixed("cow")], exit_thresholds=[]).train()
    with pytest.raises(OrxeError, match="is not a torchvision model"):
        model([torch.rand(3, 8, 8)], [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experts": ["resnet18"]}, "is no detector"),
        ({"experts": [f"{SMALL}?weights=none&num_classes=4"]}, "give classes="),
        ({"experts": [SMALL], "weights": None, "score_thresh": 2}, "score_thresh of expert .* is 2"),
        ({"experts": [fixed("cow"), fixed("owl")], "exit_thresholds": [0.5]}, "says which label"),
        ({"experts": [fixed("cow")], "categories": ["__background__", "owl"]}, "only .* have 'cow'"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, Any], message: str) -> None:
    if options["experts"] == ["resnet18"]:
        options = {**options, "weights": None}
    with pytest.raises(OrxeError, match=message):
        get_model("orxe_metamodel_detection", **{"exit_thresholds": [], **options})


@torch.inference_mode()
def test_a_checkpoint_of_pretrained_weights_has_their_frozen_norms(tmp_path: Path, images: list[Tensor]) -> None:
    torch.manual_seed(2)
    # A trained model has frozen norms, which torchvision builds only where it downloads weights.
    backbone = torchvision.models.detection.backbone_utils._mobilenet_extractor(
        torchvision.models.mobilenet_v3_large(norm_layer=torchvision.ops.FrozenBatchNorm2d), True, 6
    )
    trained = get_model(LARGE, weights=None, weights_backbone=None)
    trained.backbone = backbone
    for norm in (part for part in backbone.modules() if isinstance(part, torchvision.ops.FrozenBatchNorm2d)):
        norm.running_var.uniform_(0.5, 1.5)
    torch.save(trained.state_dict(), tmp_path / "trained.pth")
    expert = orxe_torchvision.load_expert(LARGE, checkpoint=str(tmp_path / "trained.pth"), score_thresh=0.0)
    trained.roi_heads.score_thresh = 0.0
    (expected,) = trained.eval()([images[0]])
    (found,) = expert([images[0]])
    kept = torch.tensor([COCO[label] != "N/A" for label in expected["labels"].tolist()])
    assert len(found)
    assert torch.equal(found.boxes, expected["boxes"][kept])
    assert [found.names[i] for i in found.labels] == [COCO[i] for i in expected["labels"][kept]]


def test_costs_are_counted_on_one_image(model: Any) -> None:
    small, large = (expert.measure_cost() for expert in model.cascade.members)
    assert 0.3 < small < large < 5
    assert np.isfinite(model.cascade.cost_range()).all()


def test_tools_that_reach_inside_are_told_where_things_are() -> None:
    """SAHI looks for masks by ``hasattr(model, "roi_heads")`` and resizes by ``model.transform``."""
    name = "ssdlite320_mobilenet_v3_large"
    model = torchvision.models.get_model(
        "orxe_metamodel_detection", experts=[name], weights=None, weights_backbone=None, exit_thresholds=[]
    )
    assert not hasattr(model, "roi_heads")
    with pytest.raises(OrxeError, match=r"no transform: each expert has its own .*min_size go to the experts"):
        model.transform.min_size = (32,)
