"""What torchvision's reference scripts (``references/classification``, ``references/detection``) call on a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models.feature_extraction import create_feature_extractor

from orxe_plugins import OrxeError, Policy

torchvision = pytest.importorskip("torchvision")
pytest.importorskip("orxe_torchvision")
models = torchvision.models

NAMES = ("orxe_metamodel", "orxe_metamodel_detection")
SSD = "ssdlite320_mobilenet_v3_large"


def classifier() -> Any:
    """As ``get_model(args.model, weights=args.weights, num_classes=len(dataset.classes))`` builds it."""
    experts = ["shufflenet_v2_x0_5", "squeezenet1_1"]
    return models.get_model(NAMES[0], experts=experts, weights=None, num_classes=3, exit_thresholds=[None])


def detector() -> Any:
    options = {"weights": None, "weights_backbone": None, "num_classes": 3, "classes": ["cat", "dog"]}
    return models.get_model(NAMES[1], experts=[SSD, SSD], exit_thresholds=[None], **options)


def weight_decay_groups(model: nn.Module) -> list[list[Tensor]]:
    """How ``utils.set_weight_decay`` goes through a model: by its children, each parameter once."""
    norms, others = [], []

    def add(part: nn.Module) -> None:
        for _, parameter in part.named_parameters(recurse=False):
            (norms if isinstance(part, nn.BatchNorm2d) else others).append(parameter)
        for child in part.children():
            add(child)

    add(model)
    return [norms, others]


def test_torchvision_lists_and_builds_the_names() -> None:
    for name in NAMES:
        assert name in models.list_models()
        assert models.get_model_builder(name).__name__ == name
        with pytest.raises(ValueError, match="weight"):
            models.get_model_weights(name)


@pytest.mark.parametrize("build", [classifier, detector])
def test_the_scripts_preparations_reach_every_expert(build: Any) -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(build())
    assert sum(map(len, weight_decay_groups(model))) == len(list(model.parameters()))
    average = AveragedModel(model, avg_fn=lambda old, new, _: 0.5 * (old + new), use_buffers=True)
    average.update_parameters(model)
    assert set(average.module.state_dict()) == set(model.state_dict())


def test_train_and_test_only_of_the_classification_script(tmp_path: Path) -> None:
    model, images, labels = classifier(), torch.rand(2, 3, 224, 224), torch.tensor([0, 2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model.train()
    nn.CrossEntropyLoss(label_smoothing=0.1)(model(images), labels).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    model.eval()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "checkpoint.pth")
    resumed = classifier()
    resumed.load_state_dict(torch.load(tmp_path / "checkpoint.pth", weights_only=True)["model"])
    with torch.inference_mode():
        torch.testing.assert_close(resumed(images), model(images))
        assert resumed.transforms()(torch.zeros(3, 300, 280, dtype=torch.uint8)).shape == (3, 224, 224)


def test_train_and_test_only_of_the_detection_script() -> None:
    model = detector()
    images = [torch.rand(3, 90, 120), torch.rand(3, 100, 80)]
    targets = [{"boxes": torch.tensor([[10.0, 10.0, 60.0, 70.0]]), "labels": torch.tensor([1])} for _ in images]
    model.train()
    losses = model(images, targets)
    sum(losses.values()).backward()
    assert {name[0] for name in losses} == {"0", "1"}
    model.eval()
    model.policy = Policy((0.0,))
    with torch.inference_mode():
        outputs = [{key: value.cpu() for key, value in found.items()} for found in model(images)]
    for found in outputs:
        assert set(found) == {"boxes", "labels", "scores"}
        assert len(found["boxes"]) == len(found["labels"]) == len(found["scores"])
        assert set(found["labels"].tolist()) <= {1, 2}


def test_graphs_of_one_path_are_refused() -> None:
    model = classifier()
    with pytest.raises(OrxeError, match="torch.fx cannot trace a cascade"):
        create_feature_extractor(model, ["cascade"])
    with pytest.raises(OrxeError, match="torch.jit.script cannot compile a cascade"):
        torch.jit.script(model)
