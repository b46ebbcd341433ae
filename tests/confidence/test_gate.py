"""Ranking gates: the loss of the supplement's section F, what a gate sees, and its file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from orxe_plugins import OrxeError
from orxe_plugins.confidence import MaxSoftmax, confidence_from_dict
from orxe_plugins.confidence.gate import GateNet, RankingGate, gate_inputs, ranking_loss, save_gate
from orxe_plugins.confidence.summary import SUMMARIES, of_boxes, of_logits, of_pixels, of_values, summary_named
from orxe_plugins.detection.detections import Detections
from orxe_plugins.experts.expert import Expert, FeatureLayer


def bce(logit: float, target: float) -> float:
    """Binary cross entropy, as every textbook has it."""
    p = 1 / (1 + math.exp(-logit))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def target_of(first: float, second: float) -> float:
    """Eq. 18."""
    return 1.0 if first > second else 0.0 if first < second else 0.5


def double_loop(logits: Tensor, metric: Tensor, start: int) -> float:
    """Eq. 19 as it is written, with the inner sum from ``i + start``."""
    g, m = logits.double().tolist(), metric.double().tolist()
    b = len(g)
    pairs = [(i, j) for i in range(b) for j in range(i + start, b)]
    return 2 / (b * (b - 1)) * sum(bce(g[i] - g[j], target_of(m[i], m[j])) for i, j in pairs)


BATCHES = st.lists(
    st.tuples(st.floats(-8, 8, width=32), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=2, max_size=12
)


@given(BATCHES)
def test_loss_is_the_papers_double_loop_with_ties(batch: list[tuple[float, float]]) -> None:
    logits, metric = (torch.tensor(values) for values in zip(*batch, strict=True))
    assert float(ranking_loss(logits, metric)) == pytest.approx(double_loop(logits, metric, start=1), abs=1e-5)


@given(BATCHES)
def test_the_papers_sum_from_j_equal_i_adds_a_constant(batch: list[tuple[float, float]]) -> None:
    logits, metric = (torch.tensor(values) for values in zip(*batch, strict=True))
    b = len(logits)
    # B pairs of a sample with itself, each with the target one half and the logit 0: ln 2 each.
    constant = 2 / (b * (b - 1)) * b * math.log(2)
    both = double_loop(logits, metric, start=0)
    assert both - float(ranking_loss(logits, metric)) == pytest.approx(constant, abs=1e-5)


def test_loss_only_looks_at_the_order_of_the_metric_and_at_differences_of_logits() -> None:
    logits, metric = torch.randn(9), torch.rand(9)
    loss = ranking_loss(logits, metric)
    torch.testing.assert_close(ranking_loss(logits, metric.exp() * 100), loss)
    torch.testing.assert_close(ranking_loss(logits + 3, metric), loss)


@st.composite
def detections(draw: st.DrawFn) -> Detections:
    count = draw(st.integers(0, 14))
    corners = st.tuples(*[st.floats(0, 100, width=32)] * 2, *[st.floats(1, 80, width=32)] * 2)
    rows = [draw(corners) for _ in range(count)]
    boxes = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in rows]).reshape(-1, 4)
    scores = torch.tensor([draw(st.floats(0, 1, width=32)) for _ in range(count)])
    labels = torch.tensor([draw(st.integers(0, 2)) for _ in range(count)], dtype=torch.int64)
    return Detections(boxes, scores, labels, ("cat", "dog", "bird"))


@given(detections(), st.randoms(use_true_random=False))
def test_the_order_of_the_boxes_does_not_matter(found: Detections, random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(found)))
    random.shuffle(order)
    shuffled = found.take(torch.tensor(order, dtype=torch.int64))
    summary = of_boxes([found, shuffled])
    assert summary.shape == (2, 20)
    assert torch.isfinite(summary).all()
    torch.testing.assert_close(summary[0], summary[1])


def test_summary_of_boxes_tells_images_apart() -> None:
    one = Detections(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0.9]), torch.tensor([1]), ("cat", "dog"))
    none = one.take(slice(0))
    other_label = Detections(
        torch.cat([one.boxes, one.boxes]), torch.tensor([0.9, 0.9]), torch.tensor([0, 1]), ("cat", "dog")
    )
    rows = of_boxes([one, none, other_label])
    assert len(torch.unique(rows, dim=0)) == 3
    assert not rows[1].any()
    assert rows[0, -1] == 1  # one label: all boxes have the most frequent one
    assert rows[2, -1] == 0.5


def test_summary_of_logits_has_one_width_for_any_number_of_classes() -> None:
    for classes in (2, 5, 100):
        logits = torch.randn(3, classes)
        summary = of_logits(logits)
        assert summary.shape == (3, 6)
        log_p = logits.log_softmax(1)
        torch.testing.assert_close(summary[:, 0], log_p.amax(1))
        torch.testing.assert_close(summary[:, -1], -(log_p.exp() * log_p).sum(1))


def test_summaries_of_values_and_pixels() -> None:
    assert of_values(torch.ones(4, 2, dtype=torch.float64)).dtype == torch.float32
    logits = torch.randn(2, 3, 8, 8)
    summary = of_pixels(logits)
    assert summary.shape == (2, 6)
    torch.testing.assert_close(summary[:, 0], logits.softmax(1).amax(1).mean((1, 2)))
    assert (summary[:, 1:5].diff(dim=1) >= 0).all()  # quantiles rise
    # An impossible class leaves the entropy finite.
    logits[:, 0] = -torch.inf
    assert torch.isfinite(of_pixels(logits)).all()


def test_an_unknown_summary_is_named() -> None:
    with pytest.raises(OrxeError, match="unknown output summary 'logit'.*'logits'"):
        summary_named("logit")
    assert set(SUMMARIES) == {"logits", "top", "values", "boxes", "pixels"}


class Toy(nn.Module):
    """Two layers; ranking gates look at what enters the second."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(5, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())


@pytest.fixture
def gate_file(tmp_path: Path) -> Path:
    net = GateNet(8 + 6, 4)
    net.shift.copy_(torch.randn(14))
    net.scale.copy_(torch.rand(14) + 0.5)
    save_gate(net, "logits", tmp_path / "gate.safetensors")
    return tmp_path / "gate.safetensors"


def toy_expert(confidence: object = None) -> Expert:
    expert = Expert("toy", Toy(), confidence=confidence, cost=1.0)  # type: ignore[arg-type]
    expert.feature_layer = FeatureLayer("head", "input")
    return expert


def test_a_gate_comes_back_from_its_file_bit_by_bit(tmp_path: Path) -> None:
    net = GateNet(7, 3)
    net.shift.copy_(torch.randn(7))
    save_gate(net, "values", tmp_path / "gate.safetensors")
    save_gate(net, "values", tmp_path / "same.safetensors")
    assert (tmp_path / "gate.safetensors").read_bytes() == (tmp_path / "same.safetensors").read_bytes()
    gate = RankingGate(tmp_path / "gate.safetensors")
    assert gate.summary == "values"
    assert not gate.training
    for name, value in net.state_dict().items():
        assert torch.equal(gate.net.state_dict()[name], value)
    x = torch.randn(6, 7)
    torch.testing.assert_close(gate.confidence(x), net.eval()(x).sigmoid(), rtol=0, atol=0)
    again = confidence_from_dict(gate.to_dict())
    assert isinstance(again, RankingGate)
    torch.testing.assert_close(again.confidence(x), gate.confidence(x), rtol=0, atol=0)


def test_confidence_is_the_sigmoid_of_the_logit_of_features_and_summary(gate_file: Path) -> None:
    expert = toy_expert(RankingGate(gate_file))
    x = torch.randn(4, 5)
    answers = expert.run(x)
    module, gate = expert.module, expert.confidence
    features = module.body(x).relu()  # type: ignore[operator]
    inputs = torch.cat([features, of_logits(answers.outputs)], dim=1)
    torch.testing.assert_close(gate_inputs(answers.outputs, features, "logits"), inputs)
    torch.testing.assert_close(answers.confidence, gate.net(inputs).sigmoid())  # type: ignore[operator]
    assert answers.confidence.shape == (4,)
    assert answers.confidence.dtype == torch.float32


def test_a_gate_leaves_the_outputs_alone_and_takes_its_hook_away(gate_file: Path) -> None:
    plain, gated = toy_expert(MaxSoftmax()), toy_expert(RankingGate(gate_file))
    gated.module.load_state_dict(plain.module.state_dict())
    x = torch.randn(3, 5)
    torch.testing.assert_close(gated.run(x).outputs, plain.run(x).outputs, rtol=0, atol=0)
    assert not gated.module.head._forward_pre_hooks  # type: ignore[union-attr]


def test_a_broken_input_does_not_blow_a_gate_up(gate_file: Path) -> None:
    gate = RankingGate(gate_file)
    huge = torch.full((2, 14), 1e30)
    assert torch.isfinite(gate.confidence(huge)).all()


def test_macs_are_those_of_its_two_layers(gate_file: Path) -> None:
    assert RankingGate(gate_file).gmacs == pytest.approx((14 * 4 + 4) / 1e9)


def test_errors_name_the_file_and_the_way_out(gate_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match=r"'.*nowhere\.safetensors' cannot be read.*orxe train-gate RECIPE"):
        RankingGate(tmp_path / "nowhere.safetensors")
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no weights")
    with pytest.raises(OrxeError, match="cannot be read"):
        RankingGate(wrong)
    save_file({"weight": torch.zeros(2)}, wrong)
    with pytest.raises(OrxeError, match="cannot be read"):
        RankingGate(wrong)
    for about in ('{"summary": "logits", "inputs": 4, "hidden": 2}', '{"summary": "logits"}', "[]", "no JSON"):
        save_file({"weight": torch.zeros(2)}, wrong, metadata={"gate": about})
        with pytest.raises(OrxeError, match="cannot be read"):
            RankingGate(wrong)
    with pytest.raises(OrxeError, match=r"takes 14 inputs, but this expert gives 9"):
        RankingGate(gate_file).confidence(torch.zeros(2, 9))
    with pytest.raises(OrxeError, match="run it through Expert.run"):
        RankingGate(gate_file)(torch.zeros(2, 3))


def test_an_expert_without_a_feature_layer_says_so(gate_file: Path) -> None:
    expert = toy_expert(RankingGate(gate_file))
    expert.feature_layer = None
    with pytest.raises(OrxeError, match="expert 'toy' exposes no features"):
        expert.run(torch.zeros(1, 5))
