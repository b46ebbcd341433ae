"""Cascades of classifiers as torchvision models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.cascade.file import CascadeFile, write_cascade

torchvision = pytest.importorskip("torchvision")
orxe_torchvision = pytest.importorskip("orxe_torchvision")
get_model = torchvision.models.get_model

SMALL, LARGE = "shufflenet_v2_x0_5", "squeezenet1_1"


def cascade_of(*experts: Any, **options: Any) -> Any:
    defaults = {"experts": experts or (SMALL, LARGE), "weights": None, "num_classes": 5, "exit_thresholds": [0.0]}
    return get_model("orxe_metamodel", **{**defaults, **options})


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Weights of both models as files."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("weights")
    for name in (SMALL, LARGE):
        torch.save(get_model(name, num_classes=5).state_dict(), folder / f"{name}.pth")
    return [folder / f"{name}.pth" for name in (SMALL, LARGE)]


def standalone(name: str, checkpoint: Path) -> nn.Module:
    model = get_model(name, num_classes=5)
    model.load_state_dict(torch.load(checkpoint))
    return model.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_both_ends_equal_the_models_alone(checkpoints: list[Path], images: Tensor) -> None:
    model = cascade_of(checkpoints=checkpoints)
    assert torch.equal(model(images), standalone(SMALL, checkpoints[0])(images))
    model.policy = Policy((None,))
    assert torch.equal(model(images), standalone(LARGE, checkpoints[1])(images))


@torch.inference_mode()
def test_in_between_each_image_has_the_answer_of_one_expert(checkpoints: list[Path], images: Tensor) -> None:
    model = cascade_of(checkpoints=checkpoints)
    confidence = model.route(images)[1].confidence
    model.policy = Policy((float(confidence.median()),))
    outputs, route = model.route(images)
    assert route.expert.tolist() == (confidence < confidence.median()).int().tolist()
    ends = torch.stack([standalone(SMALL, checkpoints[0])(images), standalone(LARGE, checkpoints[1])(images)])
    torch.testing.assert_close(outputs, ends[route.expert, torch.arange(3)])


def test_preferences_switch_at_run_time(tmp_path: Path, images: Tensor) -> None:
    experts = [cascade_of(name, exit_thresholds=[]).cascade.members[0].spec for name in (SMALL, LARGE)]
    rows = (PolicyRow(0.0, Policy((0.0,)), 1.0, 0.5), PolicyRow(1.0, Policy((None,)), 2.0, 0.9))
    write_cascade(tmp_path, CascadeFile(tuple(experts), PolicyTable(rows, reference_score=0.9)))
    model = get_model("orxe_metamodel", cascade=tmp_path, preference=0.0)
    with torch.inference_mode():
        assert model.route(images)[1].expert.tolist() == [0, 0, 0]
        model.set_preference(max_drop=0.0)
        assert model.route(images)[1].expert.tolist() == [1, 1, 1]


def test_train_mode_reaches_every_parameter(images: Tensor) -> None:
    model = cascade_of().train()
    loss = nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2]))
    loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_auxiliary_heads_stay_unseen_in_train_mode() -> None:
    model = cascade_of("googlenet?init_weights=false", exit_thresholds=[]).train()
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 5)


def test_transforms_make_what_the_experts_share() -> None:
    model = cascade_of(f"{SMALL}?input_size=112", f"{LARGE}?input_size=160")
    pixels = np.random.default_rng(0).integers(0, 256, (97, 130, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    prepared = model.transforms()(image)
    assert prepared.shape == (3, *model.cascade.input_view.size)
    torch.testing.assert_close(prepared, model.cascade.input_view.from_image(image), rtol=0, atol=0)
    with torch.inference_mode():
        assert model([image, pixels]).shape == (2, 5)


def test_a_squashed_view_is_prepared_as_one() -> None:
    member = cascade_of(SMALL, exit_thresholds=[]).cascade.members[0]
    view = member.view
    squashed = type(view)((64, 64), 64, squash=True)
    model = orxe_torchvision.CascadeClassifier(Cascade([member], Policy(()), input_view=squashed))
    image = Image.new("RGB", (40, 90), (200, 10, 10))
    torch.testing.assert_close(model.transforms()(image), squashed.from_image(image), rtol=0, atol=0)


def test_plain_modules_have_no_transforms() -> None:
    model = get_model("orxe_metamodel", experts=[Expert("a", nn.Linear(4, 3), cost=1.0)], exit_thresholds=[])
    assert model(torch.rand(2, 4)).shape == (2, 3)
    with pytest.raises(OrxeError, match="plain modules"):
        model.transforms()


def test_traces_with_both_paths(checkpoints: list[Path], images: Tensor) -> None:
    model = cascade_of(checkpoints=checkpoints)
    with torch.inference_mode():
        model.policy = Policy((float(model.route(images)[1].confidence.median()),))
        traced = torch.jit.trace(model, images[:2], check_trace=False)
        torch.testing.assert_close(traced(images), model(images))


def test_users_can_register_a_cascade_of_their_own() -> None:
    name = "my_cascade_of_two"

    @torchvision.models._api.register_model(name)
    def build(**options: Any) -> nn.Module:
        return orxe_torchvision.orxe_metamodel(experts=[SMALL, LARGE], exit_thresholds=[0.5], **options)

    try:
        assert get_model(name, weights=None, num_classes=4)(torch.rand(1, 3, 64, 64)).shape == (1, 4)
    finally:
        del torchvision.models._api.BUILTIN_MODELS[name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experts": ["resnet81"]}, "did you mean 'torchvision:resnet18'"),
        ({"experts": ["ssdlite320_mobilenet_v3_large"], "num_classes": 91}, "is no classifier"),
        ({"experts": ["orxe_metamodel"]}, "unknown expert"),
        ({"experts": ["lraspp_mobilenet_v3_large"]}, "SemanticSegmentation"),
        ({"experts": [SMALL], "weights": "IMAGENET1K_V9"}, "unknown weights"),
        ({"experts": [SMALL], "colour": "red"}, "does not take the options"),
        ({"experts": [SMALL, f"{LARGE}?num_classes=7"]}, "must have the same classes"),
        ({"experts": [SMALL, LARGE], "exit_thresholds": None, "preference": 2}, "preference is 2"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        cascade_of(**{"exit_thresholds": [0.5] * (len(options["experts"]) - 1), **options})


@pytest.mark.parametrize(
    ("old", "new"), [("MetaModel", "CascadeClassifier"), ("DetectionMetaModel", "CascadeDetector")]
)
def test_former_class_names_work_with_a_warning(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"now orxe_torchvision.{new}"):
        assert getattr(orxe_torchvision, old) is getattr(orxe_torchvision, new)
