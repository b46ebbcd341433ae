"""What timm's own tests, utilities and folders ask of a model, asked of a cascade."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models import FeatureHookNet, FeatureInfo, group_modules, group_parameters, load_checkpoint
from timm.models._hub import save_for_hf  # where the lowest release has it too
from timm.optim import create_optimizer_v2, param_groups_layer_decay
from timm.utils import ModelEmaV3, freeze, unfreeze
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

import orxe_timm
from orxe_plugins import OrxeError, Policy, PolicyRow, PolicyTable

CONV, VIT = "test_efficientnet.r160_in1k", "test_vit.r160_in1k"


def build(**options: Any) -> orxe_timm.CascadeClassifier:
    options = {"experts": ["test_resnet.r160_in1k", CONV], "num_classes": 5, **options}
    sizes = None if VIT in options["experts"] else [{"input_size": 48}, {"input_size": 64}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model("orxe_metamodel", expert_kwargs=sizes, **options)
    for expert in model.cascade.members:
        if model.num_classes:
            nn.init.normal_(expert.module.get_classifier().weight)
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model(images: Tensor) -> orxe_timm.CascadeClassifier:
    """A cascade that sends half of the images on."""
    torch.manual_seed(0)
    model = build()
    model.policy = Policy(
        (float(model.cascade.members[0].run(images, model.cascade.context(images)).confidence.median()),)
    )
    assert len(set(model.route(images)[1].expert.tolist())) == 2
    return model


# --- folders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("safe", [True, False])
def test_a_folder_of_timm_brings_weights_thresholds_and_view_back(
    model: orxe_timm.CascadeClassifier, images: Tensor, tmp_path: Path, safe: bool
) -> None:
    save_for_hf(model, tmp_path, model_args=model.model_args, safe_serialization=safe)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert (loaded.policy, loaded.cascade.input_view) == (model.policy, model.cascade.input_view)
    torch.testing.assert_close(loaded(images), model(images))
    untrained = timm.create_model(f"local-dir:{tmp_path}", pretrained=False)
    assert not torch.equal(untrained(images), model(images))
    asked = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, exit_thresholds=[0.25])
    assert asked.policy == Policy((0.25,))


def test_a_folder_keeps_the_policy_table(tmp_path: Path, images: Tensor) -> None:
    rows = (PolicyRow(0.0, Policy((0.0,)), 1.0, 0.7), PolicyRow(1.0, Policy((None,)), 2.0, 0.9))
    model = build()
    model.cascade.table = PolicyTable(rows, reference_score=0.9)
    save_for_hf(model, tmp_path, model_args=model.model_args)
    fitted = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, preference=1.0)
    assert fitted.policy == Policy((None,))
    assert fitted.set_preference(0.0) == Policy((0.0,))
    with pytest.warns(UserWarning, match="fitted policies belonged to other classes"):
        other = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=3)
    assert other.table is None
    assert other(images).shape == (4, 3)
    for layer in model.pretrained_cfg["first_conv"]:
        assert torch.equal(other.get_submodule(layer).weight, model.get_submodule(layer).weight)


def test_a_folder_without_classifiers_gives_features(tmp_path: Path, images: Tensor) -> None:
    model = build()
    model.reset_classifier(0, "")
    save_for_hf(model, tmp_path, model_args=model.model_args)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert loaded(images).ndim == 4
    torch.testing.assert_close(loaded(images), model(images))


def test_weights_are_never_passed_over(model: orxe_timm.CascadeClassifier, images: Tensor, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "all.pth")
    torch.save(model.cascade.members[1].module.state_dict(), tmp_path / "one.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    for options in ({"checkpoint_path": str(tmp_path / "all.pth")},
                    {"pretrained": True, "pretrained_cfg_overlay": {"file": str(tmp_path / "all.pth")}}):  # fmt: skip
        loaded = build_as_is(exit_thresholds=list(model.policy.exit_thresholds), **options)
        torch.testing.assert_close(loaded(images), model(images))
    for strict in (True, False):
        with pytest.raises(
            OrxeError, match=r"of one model \(conv_stem.*names are those of expert 2 of 2, 'timm:test_eff"
        ):
            load_checkpoint(build(), str(tmp_path / "one.pth"), strict=strict)
        with pytest.raises(OrxeError, match=r"of one model \(weight\), not of a cascade, and of none of its experts"):
            load_checkpoint(build(), str(tmp_path / "other.pth"), strict=strict)
    with pytest.raises(OrxeError, match=r"weights of '.*all\.pth' are not those of a cascade of timm:test_vit"):
        build(experts=[VIT, CONV], pretrained=True, pretrained_cfg_overlay={"file": str(tmp_path / "all.pth")})


def build_as_is(**options: Any) -> orxe_timm.CascadeClassifier:
    """A cascade whose classifiers stay as they were loaded."""
    sizes = [{"input_size": 48}, {"input_size": 64}]
    experts = ["test_resnet.r160_in1k", CONV]
    return timm.create_model("orxe_metamodel", experts=experts, expert_kwargs=sizes, num_classes=5, **options)


def test_a_configuration_that_would_be_passed_over_is_refused() -> None:
    with pytest.raises(OrxeError, match="has no pretrained tag 'a1_in1k'"):
        timm.create_model("orxe_metamodel.a1_in1k", experts=[CONV])
    for key in ("pretrained_cfg", "pretrained_cfg_overlay"):
        with pytest.raises(OrxeError, match=r"says \{'mean': \(0.5, 0.5, 0.5\)\}"):
            build(**{key: {"mean": (0.5, 0.5, 0.5)}})
    # timm's scripts hand over what is registered.
    build(pretrained_cfg=timm.get_pretrained_cfg("orxe_metamodel").to_dict(), exit_thresholds=[0.5])


# --- features ---------------------------------------------------------------------------------------


def test_intermediate_features_are_those_of_the_last_expert(model: orxe_timm.CascadeClassifier, images: Tensor) -> None:
    last = model.cascade.members[-1]
    seen = last.as_if_alone(images, model.cascade.context(images))
    output, features = model.forward_intermediates(images)
    expected_output, expected = last.module.forward_intermediates(seen)
    torch.testing.assert_close(output, model.forward_features(images))
    torch.testing.assert_close(output, expected_output)
    assert [part.shape[1] for part in features] == FeatureInfo(model.feature_info, len(expected)).channels()
    for part, other in zip(features, expected, strict=True):
        torch.testing.assert_close(part, other)
    names = dict(model.named_modules())
    assert all(info["module"] in names for info in model.feature_info)
    hooked = FeatureHookNet(copy.deepcopy(model), out_indices=(0, 2), no_rewrite=True)(images)
    torch.testing.assert_close(hooked[1], features[2])


def test_what_the_last_expert_lacks_the_cascade_lacks(model: orxe_timm.CascadeClassifier, images: Tensor) -> None:
    assert not hasattr(model, "get_intermediate_layers")
    with pytest.raises(OrxeError, match="no get_intermediate_layers, as its last expert 'timm:test_eff"):
        model.get_intermediate_layers(images)
    assert not hasattr(model, "nonsense")
    tokens = build(experts=[CONV, VIT]).get_intermediate_layers(torch.randn(1, 3, 160, 160), n=2)
    assert [part.shape for part in tokens] == [(1, 100, 64)] * 2


# --- training ---------------------------------------------------------------------------------------


def test_layers_are_grouped_from_the_heads_of_all_experts() -> None:
    model = build(experts=["test_resnet.r160_in1k", VIT])
    layers = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    assert set(layers) == {name for name, _ in model.named_parameters()}
    top = max(layers.values())
    assert {layers[f"{layer}.weight"] for layer in model.pretrained_cfg["classifier"]} == {top}
    for i, expert in enumerate(model.cascade.members):
        own = group_parameters(expert.module, expert.module.group_matcher(coarse=False), reverse=True)
        shifts = {layers[f"cascade.experts.{i}.module.{name}"] - layer for name, layer in own.items()}
        assert shifts == {top - max(own.values())}
    assert len(group_modules(model, model.group_matcher())) == top + 1
    scales = {group["lr_scale"] for group in param_groups_layer_decay(model, layer_decay=0.5)}
    assert max(scales) == 1.0
    assert len(scales) == top + 1
    create_optimizer_v2(model, "adamw", lr=0.1, layer_decay=0.5).step()


def test_timms_training_helpers_work(model: orxe_timm.CascadeClassifier, images: Tensor) -> None:
    model = copy.deepcopy(model)
    before = model(images)
    model.set_grad_checkpointing()
    torch.testing.assert_close(model(images), before)
    average = ModelEmaV3(model, decay=0.5)
    model.train()
    model(images).sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(parameter.grad)
    average.update(model)
    assert not torch.equal(average.module(images), before)
    freeze(model)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    unfreeze(model, list(model.pretrained_cfg["classifier"]))
    assert sum(parameter.requires_grad for parameter in model.parameters()) == 4


# --- copies, types, graphs --------------------------------------------------------------------------


def test_copies_and_layouts_answer_alike(model: orxe_timm.CascadeClassifier, images: Tensor) -> None:
    expected = model(images)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), nn.DataParallel(model)):
        assert torch.equal(other(images), expected)
    layout = torch.channels_last
    found = copy.deepcopy(model).to(memory_format=layout)(images.to(memory_format=layout))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    for dtype in (torch.float16, torch.bfloat16):
        assert copy.deepcopy(model).to(dtype)(images.to(dtype)).dtype == dtype
        with torch.autocast("cpu", dtype=dtype):
            assert model(images).shape == expected.shape


@pytest.mark.long
def test_a_compiled_cascade_answers_alike(model: orxe_timm.CascadeClassifier, images: Tensor) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(torch.compile(model, backend="eager")(images), model(images), rtol=1e-3, atol=1e-4)


def test_graphs_of_one_path_are_refused(model: orxe_timm.CascadeClassifier) -> None:
    for trace in (torch.fx.symbolic_trace, lambda one: create_feature_extractor(one, ["cascade"])):
        # torchvision leaves what it could not trace in train mode.
        with pytest.raises(OrxeError, match="torch.fx cannot trace a cascade"):
            trace(copy.deepcopy(model))
    with pytest.raises(OrxeError, match="features_only form.*forward_intermediates"):
        build(features_only=True)


def test_timms_registry_knows_the_names() -> None:
    assert timm.is_model("orxe_metamodel")
    assert not timm.is_model_pretrained("orxe_metamodel")
    assert timm.get_pretrained_cfg("orxe_metamodel").input_size == (3, 224, 224)
    assert timm.list_models("orxe*", pretrained=True) == []
