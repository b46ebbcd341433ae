from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform, resolve_data_config

import orxe_timm
from orxe_plugins import OrxeError, Policy, PolicyRow, PolicyTable, load_expert
from orxe_plugins.cascade.file import CascadeFile, write_cascade
from orxe_plugins.experts.registry import ExpertSpec

SMALL, LARGE = "test_resnet.r160_in1k", "test_efficientnet.r160_in1k"


def build(exit_thresholds: list[float | None] | None = None, **options: Any) -> orxe_timm.CascadeClassifier:
    options = {"experts": [SMALL, LARGE], "expert_kwargs": [{"input_size": 48}, {"input_size": 64}], **options}
    return timm.create_model("orxe_metamodel", exit_thresholds=exit_thresholds or [0.5], **options)


def pictures(count: int = 5) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = rng.integers(40, 130, size=(count, 2))
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in sizes]


@pytest.fixture(scope="module")
def model() -> orxe_timm.CascadeClassifier:
    return build()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted cascade on disk, with the weights of its two experts."""
    root = tmp_path_factory.mktemp("cascade")
    specs = []
    for name, size in ((SMALL, 48), (LARGE, 64)):
        expert = load_expert(f"timm:{name}?pretrained=false&num_classes=7")
        torch.save(expert.module.state_dict(), root / f"{name}.pth")
        options = {"num_classes": 7, "input_size": size}
        specs.append(ExpertSpec(f"timm:{name}", checkpoint=str(root / f"{name}.pth"), options=options))
    rows = (
        PolicyRow(0.0, Policy((0.0,)), 1.0, 0.70),
        PolicyRow(0.5, Policy((0.6,)), 1.5, 0.85),
        PolicyRow(1.0, Policy((None,)), 2.0, 0.90),
    )
    table = PolicyTable(rows, reference_cost=2.0, reference_score=0.9, n_samples=100)
    write_cascade(root, CascadeFile(tuple(specs), table))
    return root


def test_timm_lists_the_metamodels() -> None:
    assert timm.list_models("orxe*") == ["orxe_metamodel", "orxe_metamodel_large", "orxe_metamodel_tiny"]


@settings(max_examples=12)
@given(st.permutations(range(6)), st.integers(1, 6))
def test_both_ends_equal_the_experts_alone_in_any_batches_and_order(
    model: orxe_timm.CascadeClassifier, order: list[int], batch: int
) -> None:
    images = torch.randn(6, 3, *model.cascade.input_view.size, generator=torch.Generator().manual_seed(1))
    for policy, expert in ((Policy((0.0,)), 0), (Policy((None,)), 1)):
        model.policy = policy
        with torch.no_grad():
            alone = model.cascade.members[expert].run(images, model.cascade.context(images)).outputs
            routed = torch.cat([model(images[list(order[i : i + batch])]) for i in range(0, 6, batch)])
        torch.testing.assert_close(routed, alone[list(order)], rtol=1e-4, atol=1e-5)


def test_a_route_says_who_answered_at_what_cost(model: orxe_timm.CascadeClassifier) -> None:
    images = torch.randn(4, 3, 64, 64)
    confidence = model.cascade.members[0].run(images, model.cascade.context(images)).confidence
    model.policy = Policy((float(confidence.sort().values[2]),))
    logits, route = model.route(images)
    assert logits.shape == (4, 1000)
    assert sorted(route.expert.tolist()) == [0, 0, 1, 1]
    small, large = (expert.measure_cost() for expert in model.cascade.members)
    expected = [small if expert == 0 else small + large for expert in route.expert.tolist()]
    assert route.cost.tolist() == pytest.approx(expected)
    assert route.confidence.shape == (4,)


def test_originals_give_every_expert_the_view_that_timm_would(model: orxe_timm.CascadeClassifier) -> None:
    images = pictures()
    for i, policy in ((0, Policy((0.0,))), (1, Policy((None,)))):
        expert = model.cascade.members[i]
        size = expert.view.size[0]
        config = resolve_data_config({"input_size": (3, size, size)}, model=expert.module)
        transform = create_transform(**config)
        views = torch.stack([transform(image) for image in images])
        model.policy = policy
        with torch.no_grad():
            torch.testing.assert_close(model(images), expert.module(views), rtol=1e-4, atol=1e-5)


def test_timms_own_transform_makes_the_tensor_that_the_cascade_expects(model: orxe_timm.CascadeClassifier) -> None:
    transform = create_transform(**resolve_data_config({}, model=model))
    images = pictures()
    torch.testing.assert_close(
        torch.stack([transform(i) for i in images]), model.cascade.input_view.from_images(images)
    )


@pytest.mark.parametrize("name", ["orxe_metamodel", "orxe_metamodel_tiny"])
def test_default_pools_are_built_without_a_download(name: str) -> None:
    model = timm.create_model(name, num_classes=5, preference=0.5)
    assert len(model.cascade.members) == 3
    assert model(torch.randn(1, *model.pretrained_cfg["input_size"])).shape == (1, 5)


def test_classes_and_channels_reach_every_expert() -> None:
    model = build(num_classes=11, in_chans=1)
    assert model.num_classes == 11
    assert model.pretrained_cfg["input_size"] == (1, 65, 65)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 11)


def test_features_and_classifier_are_those_of_the_last_expert() -> None:
    # timm's own test_model_default_cfgs, step by step.
    model = build()
    images = torch.randn(2, 3, 64, 64)
    features = model.forward_features(images)
    assert features.shape[1] == model.num_features
    assert model.forward_head(features, pre_logits=True).shape == (2, model.head_hidden_size)
    last = model.cascade.members[-1]
    view = last.as_if_alone(images, model.cascade.context(images))
    torch.testing.assert_close(model.forward_head(features), last(view))
    assert model.get_classifier() is last.module.get_classifier()
    names = model.state_dict()
    for kind in ("classifier", "first_conv"):
        assert len(model.default_cfg[kind]) == 2
        assert {f"{layer}.weight" for layer in model.default_cfg[kind]} <= set(names)
    model.reset_classifier(42)
    assert model(images).shape == (2, 42)
    model.reset_classifier(0)
    assert model(images).shape == (2, model.num_features)
    model.reset_classifier(0, "")
    assert model(images).ndim == 4
    assert build(num_classes=0, global_pool="")(images).ndim == 4


def test_training_reaches_every_parameter() -> None:
    model = build(num_classes=42, drop_rate=0.1)
    model.train()
    out = model(torch.randn(4, 3, 64, 64))
    assert out.shape == (4, 42)
    out.mean().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not without


def test_weights_travel_by_a_state_dict(tmp_path: Path) -> None:
    first, second = build(num_classes=5), build(num_classes=5)
    torch.save({"state_dict": first.state_dict()}, tmp_path / "last.pth.tar")
    loaded = timm.create_model(
        "orxe_metamodel", experts=[SMALL, LARGE], exit_thresholds=[0.5], num_classes=5,
        expert_kwargs=[{"input_size": 48}, {"input_size": 64}], checkpoint_path=str(tmp_path / "last.pth.tar"),
    )  # fmt: skip
    images = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(loaded(images), first(images))
    assert not torch.equal(second(images), first(images))


def test_a_fitted_folder_brings_weights_and_policies(folder: Path) -> None:
    model = timm.create_model("orxe_metamodel", cascade=str(folder), preference=0.8, num_classes=7, in_chans=3)
    assert model.policy == Policy((None,))
    assert model.set_preference(0.5) == Policy((0.6,))
    assert model.set_preference(budget=1.2) == Policy((0.0,))
    assert model.set_preference(max_drop=0.05) == Policy((0.6,))
    again = timm.create_model("orxe_metamodel", cascade=folder, preference=0.5)
    images = torch.randn(3, 3, 64, 64)
    model.set_preference(0.5)
    torch.testing.assert_close(model(images), again(images))
    with pytest.warns(UserWarning, match="fit again"):
        again.reset_classifier(3)
    assert again.table is None


def test_checkpoints_are_taken_in_order(folder: Path) -> None:
    files = [str(folder / f"{name}.pth") for name in (SMALL, LARGE)]
    built = build([0.0], checkpoints=files, num_classes=7, pretrained=True)
    fitted = timm.create_model("orxe_metamodel", cascade=folder, exit_thresholds=[0.0])
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(built(images), fitted(images))


def test_torchvision_classifiers_are_experts_too() -> None:
    model = timm.create_model(
        "orxe_metamodel", experts=[SMALL, "torchvision:shufflenet_v2_x0_5"], exit_thresholds=[None], num_classes=6
    )
    images = torch.randn(2, 3, 224, 224)
    alone = model.cascade.members[1].run(images, model.cascade.context(images)).outputs
    torch.testing.assert_close(model(images), alone)
    with pytest.raises(OrxeError, match="no forward_features"):
        model.forward_features(images)
    with pytest.raises(OrxeError, match="no reset_classifier"):
        model.reset_classifier(3)


def test_an_unfitted_cascade_warns_once_and_says_how_to_fit() -> None:
    with pytest.warns(UserWarning, match="orxe run RECIPE"):
        model = timm.create_model("orxe_metamodel", experts=[SMALL, LARGE], preference=0.7)
    assert model.policy == Policy((0.7,))


def test_a_trace_routes_by_the_data_not_by_the_example(model: orxe_timm.CascadeClassifier) -> None:
    example, images = torch.randn(2, 3, 64, 64), torch.randn(8, 3, 64, 64) * 3
    confidence = model.cascade.members[0].run(images, model.cascade.context(images)).confidence
    model.policy = Policy((float(confidence.median()),))
    with torch.no_grad():
        trace = torch.jit.trace(model, example)
        expected, route = model.route(images)
        assert len(set(route.expert.tolist())) == 2
        torch.testing.assert_close(trace(images), expected, rtol=1e-4, atol=1e-5)


def test_onnx_routes_as_the_cascade_does(tmp_path: Path) -> None:
    onnx, reference = pytest.importorskip("onnx"), pytest.importorskip("onnx.reference")
    model = build(num_classes=5)
    images = torch.randn(3, 3, *model.cascade.input_view.size)
    confidence = model.cascade.members[0].run(images, model.cascade.context(images)).confidence
    model.policy = Policy((float(confidence.median()),))
    torch.onnx.export(model, (images,), tmp_path / "cascade.onnx", dynamo=False, opset_version=17)
    graph = onnx.load(tmp_path / "cascade.onnx")
    onnx.checker.check_model(graph)
    with torch.no_grad():
        expected, route = model.route(images)
    assert len(set(route.expert.tolist())) == 2
    (answer,) = reference.ReferenceEvaluator(graph).run(None, {graph.graph.input[0].name: images.numpy()})
    np.testing.assert_allclose(answer, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_what_cannot_be_done_is_said(model: orxe_timm.CascadeClassifier, folder: Path) -> None:
    with pytest.raises(OrxeError, match="features_only"):
        build(features_only=True)
    with pytest.raises(OrxeError, match="torch.jit.script"):
        torch.jit.script(model)
    with pytest.raises(OrxeError, match="num_classes is 10, but the fitted cascade"):
        timm.create_model("orxe_metamodel", cascade=folder, num_classes=10)
    with pytest.raises(OrxeError, match="global_pool is '', .*: give num_classes=0 too"):
        build(global_pool="")
    with pytest.raises(OrxeError, match="unknown expert 'timm:test_resnet.r160_in1': did you mean"):
        build(experts=["test_resnet.r160_in1", LARGE])
    with pytest.raises(OrxeError, match="must have the same classes"):
        build(expert_kwargs=[{"num_classes": 5}, {"num_classes": 6}])


def test_nan_logits_escalate_and_are_never_an_exit() -> None:
    model = build([0.1])
    torch.nn.init.constant_(model.cascade.members[0].module.get_classifier().weight, float("nan"))
    _, route = model.route(torch.randn(2, 3, 64, 64))
    assert route.expert.tolist() == [1, 1]


def test_the_former_class_name_works_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="now orxe_timm.CascadeClassifier"):
        assert orxe_timm.Metamodel is orxe_timm.CascadeClassifier
    with pytest.raises(AttributeError, match="no attribute 'MetaModel'"):
        orxe_timm.MetaModel
