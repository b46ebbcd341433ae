"""Ranking gates on the smallest expert of every adapter: one confidence per image, for next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orxe_plugins import Cascade, Expert, Policy, load_expert
from orxe_plugins.cascade.file import CascadeFile, load_cascade, write_cascade
from orxe_plugins.confidence.gate import RankingGate, gate_inputs, save_gate
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.registry import ExpertSpec
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.training.gate import GateSettings, fit_gate

#: two experts of each kind, the smallest of the tests first; names of fixtures stand for the addresses that they give
POOLS = {
    "timm": ["timm:test_resnet?pretrained=false&num_classes=3",
             "timm:test_vit?pretrained=false&num_classes=3"],
    "torchvision": ["torchvision:shufflenet_v2_x0_5?weights=none&num_classes=3&input_size=64",
                    "torchvision:squeezenet1_1?weights=none&num_classes=3&input_size=96"],
    "torchvision detection": ["torchvision:ssdlite320_mobilenet_v3_large?weights=none&classes=[cat, dog, bird]",
                              "torchvision:ssdlite320_mobilenet_v3_large?weights=none&classes=[cat, dog, bird]"
                              "&score_thresh=0.1"],
    "ultralytics": "yolos",
    "mmdet": "mmdets",
}  # fmt: skip


@pytest.fixture(scope="module", params=POOLS)
def pool(request: pytest.FixtureRequest) -> list[Expert]:
    """A cheap and a costlier expert of one adapter, without gates."""
    addresses = POOLS[request.param]
    pytest.importorskip(f"orxe_{request.param.partition(' ')[0]}")
    found: Sequence[str] = request.getfixturevalue(addresses) if isinstance(addresses, str) else addresses
    # At 64 pixels a YOLO is so fast that a gate's time shows (benchmarks/gate.md).
    found = [address.replace("imgsz=64", "imgsz=160") for address in found]
    torch.manual_seed(0)
    experts = [load_expert(address) for address in found]
    for expert in experts:
        expert.requires_grad_(False)
    return experts


def summary_of(expert: Expert) -> str:
    return "boxes" if isinstance(expert, DetectorExpert) else "logits"


def gated(expert: Expert, images: list[np.ndarray], file: Path) -> RankingGate:
    """A gate of the width that training gives it, trained for one epoch on made-up scores."""
    context = BatchContext.of(images)
    with torch.inference_mode(), expert.tap_features(context, always=True) as tap:
        outputs = expert.run(images, context).outputs
        assert tap is not None
        inputs = gate_inputs(outputs, tap.features(len(images)), summary_of(expert))
    rng = np.random.default_rng(0)
    many = inputs.numpy()[rng.integers(0, len(images), 40)] + rng.normal(0, 0.1, (40, inputs.shape[1]))
    net = fit_gate(many, rng.random(40), expert.measure_cost(), GateSettings(epochs=1))
    save_gate(net, summary_of(expert), file)
    return RankingGate(file)


def test_a_gate_runs_inside_a_cascade_and_costs_at_most_two_percent(
    pool: list[Expert], pictures: list[np.ndarray], tmp_path: Path
) -> None:
    first, before = pool[0], pool[0].confidence
    own = first.run(pictures).outputs
    try:
        cost = first.measure_cost()
        first.confidence = gated(first, pictures, tmp_path / "gate.safetensors")
        assert 0 < first.confidence.gmacs <= 0.02 * cost
        cascade = Cascade(pool, Policy((0.0,)))
        _, route = cascade.route(pictures)
        confidence = route.confidence
        assert confidence.shape == (len(pictures),)
        assert confidence.dtype == torch.float32
        assert ((confidence > 0) & (confidence < 1)).all()
        # It looks at the image: its confidences are not all the same.
        assert len(confidence.unique()) > 1
        # One image alone gets the confidence that it gets among others, whatever their sizes are.
        alone = torch.cat([cascade.route([picture])[1].confidence for picture in pictures])
        torch.testing.assert_close(alone, confidence, atol=2e-4, rtol=1e-3)
        # The expert's answer is what it was.
        same(first.run(pictures).outputs, own)
        # All images but the surest go on to the second expert.
        cascade.policy = Policy((float(confidence.max()),))
        _, routed = cascade.route(pictures)
        assert set(routed.expert.tolist()) == {0, 1}
    finally:
        first.confidence = before


def test_a_gate_in_a_cascades_folder_is_loaded_with_its_expert(
    pool: list[Expert], pictures: list[np.ndarray], tmp_path: Path
) -> None:
    """Random weights differ at every loading, so that only experts with a file can be compared by value."""
    gate = gated(pool[0], pictures, tmp_path / "gates" / "gate.safetensors")
    address = pool[0].spec.address
    spec = ExpertSpec(address, cost=1.0, confidence=gate.to_dict())
    rows = (PolicyRow(0.0, Policy((0.0,)), 1.0, 0.5),)
    task = "detection" if summary_of(pool[0]) == "boxes" else "classification"
    write_cascade(tmp_path, CascadeFile((spec, ExpertSpec(address, name="last", cost=2.0)), PolicyTable(rows), task))
    cascade = load_cascade(tmp_path, 0.0)
    loaded = cascade.members[0].confidence
    assert isinstance(loaded, RankingGate)
    _, route = cascade.route(pictures)
    assert ((route.confidence > 0) & (route.confidence < 1)).all()
    if "pretrained=false" not in address and "weights=none" not in address:
        inputs = torch.randn(3, loaded.net.hidden.in_features)
        torch.testing.assert_close(loaded.confidence(inputs), gate.confidence(inputs), rtol=0, atol=0)


def same(a: Any, b: Any) -> None:
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
        return
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one.boxes, other.boxes, rtol=0, atol=0)
        torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=0)
