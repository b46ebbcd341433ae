from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, OrxeError, Policy, PolicyRow, PolicyTable, Records
from orxe_plugins.search import replay


class Scripted(nn.Module):
    """Reads each sample's logits for this expert out of the batch, and notes which samples it saw."""

    def __init__(self, column: int, classes: int = 3) -> None:
        super().__init__()
        self.column, self.classes = column, classes
        self.seen: list[list[int]] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.seen.append(batch[:, -1].long().tolist())
        start = self.column * self.classes
        return batch[:, start : start + self.classes]


def scripted_batch(logits: Tensor) -> Tensor:
    """(N, M, C) logits as one batch (M, N * C + 1) whose last column numbers the samples."""
    n, m, c = logits.shape
    return torch.cat([logits.permute(1, 0, 2).reshape(m, n * c), torch.arange(m).float()[:, None]], dim=1)


def scripted_cascade(n: int, policy: Policy, costs: list[float] | None = None) -> Cascade:
    cost = costs or [1.0, 2.0, 4.0, 8.0]
    experts = [Expert(f"e{i}", Scripted(i), cost=cost[i], shared_cost=0.25 * i) for i in range(n)]
    return Cascade(experts, policy)


thresholds = st.sampled_from([0.0, 0.34, 0.4, 0.5, 0.6, 0.8, 1.0])


@settings(max_examples=150)
@given(data=st.data(), n=st.integers(1, 4), m=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_routed_and_dense_inference_equal_replay(data: st.DataObject, n: int, m: int, seed: int) -> None:
    exits = data.draw(st.tuples(*[st.none() | thresholds] * (n - 1)))
    skips = data.draw(st.tuples(*[thresholds] * (n - 1)))
    logits = torch.randn((n, m, 3), generator=torch.Generator().manual_seed(seed)) * 2
    if data.draw(st.booleans()):
        logits[0, 0] = float("nan")
    policy = Policy(exits, skips)
    cascade = scripted_cascade(n, policy)
    outputs, route = cascade.route(scripted_batch(logits))
    confidence = torch.stack(
        [torch.nan_to_num(e.confidence(x), nan=0.0) for e, x in zip(cascade.members, logits, strict=True)]
    )
    records = Records.from_arrays(
        [e.name for e in cascade.members],
        [e.cost for e in cascade.members],
        confidence.numpy(),
        np.zeros((n, m)),
        shared_cost=[e.shared_cost for e in cascade.members],
    )
    replayed = replay(records, policy)
    assert route.expert.tolist() == replayed.expert.tolist()
    np.testing.assert_allclose(route.cost.numpy(), replayed.sample_cost)
    for sample, expert in enumerate(route.expert.tolist()):
        assert torch.equal(outputs[sample].nan_to_num(), logits[expert, sample].nan_to_num())
    for i, expert in enumerate(cascade.members):
        seen = [sample for call in expert.module.seen for sample in call]
        assert seen == route.ran[:, i].nonzero().squeeze(1).tolist(), "an expert ran on rows that do not reach it"
        assert all(expert.module.seen), "an expert ran on an empty batch"
    cascade.dense = True
    dense_outputs, dense = cascade.route(scripted_batch(logits))
    assert torch.equal(dense_outputs.nan_to_num(), outputs.nan_to_num())
    assert torch.equal(dense.expert, route.expert) and torch.equal(dense.ran, route.ran)
    assert torch.equal(dense.cost, route.cost) and torch.equal(dense.confidence, route.confidence)


@pytest.mark.parametrize("batch_size", [1, 3, 8, 50])
def test_the_ends_equal_single_experts_for_any_batch_and_order(batch_size: int) -> None:
    small, large = nn.Linear(6, 4), nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4))
    images = torch.randn(50, 6)[torch.randperm(50)]
    for thresholds_, expert, module in (([0.0], 0, small), ([None], 1, large)):
        cascade = Cascade.from_modules([small, large], thresholds_)
        for batch in images.split(batch_size):
            outputs, route = cascade.route(batch)
            assert set(route.expert.tolist()) == {expert}
            torch.testing.assert_close(outputs, module(batch))


def test_a_threshold_of_one_is_reached_by_a_saturated_softmax_and_never_is_not() -> None:
    sure = torch.tensor([[100.0, 0, 0, 0, 0, 0, 0]])
    assert scripted_cascade(2, Policy((1.0,))).route(sure)[1].expert.tolist() == [0]
    assert scripted_cascade(2, Policy((None,))).route(sure)[1].expert.tolist() == [1]


def test_costs_are_counted_on_the_first_batch() -> None:
    cascade = Cascade.from_modules([nn.Linear(8, 2), nn.Sequential(nn.Linear(8, 100), nn.Linear(100, 2))], [0.0])
    _, route = cascade.route(torch.randn(5, 8))
    torch.testing.assert_close(route.cost, torch.full((5,), 16e-9, dtype=torch.float64))
    cascade.policy = Policy((None,))
    torch.testing.assert_close(cascade.route(torch.randn(2, 8))[1].cost, torch.full((2,), 1000e-9, dtype=torch.float64))


def test_an_empty_batch_gives_empty_outputs() -> None:
    outputs, route = Cascade.from_modules([nn.Linear(4, 2), nn.Linear(4, 2)], [0.5]).route(torch.zeros(0, 4))
    assert outputs.shape == (0, 2) and len(route.expert) == 0


def test_train_mode_runs_every_expert_and_reaches_every_parameter() -> None:
    modules = [nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))]
    cascade = Cascade.from_modules(modules, [0.0]).train()
    outputs = cascade(torch.randn(5, 4))
    outputs.square().sum().backward()
    assert outputs.shape == (5, 3)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in cascade.parameters())


def table() -> PolicyTable:
    rows = [(0.0, 0.0, 1.0, 0.80), (0.5, 0.5, 1.5, 0.86), (0.9, 0.8, 2.0, 0.9), (1.0, None, 2.5, 0.9)]
    return PolicyTable(
        tuple(PolicyRow(p, Policy((t,)), c, s) for p, t, c, s in rows), reference_cost=2.5, reference_score=0.9
    )


def test_the_preference_switches_the_policy_at_run_time() -> None:
    cascade = Cascade([Expert("a", nn.Identity(), cost=1), Expert("b", nn.Identity(), cost=2)], table=table())
    assert cascade.set_preference(0.0).exit_thresholds == (0.0,)
    assert cascade.set_preference(0.85).exit_thresholds == (0.8,)
    assert cascade.set_preference(budget=1.7).exit_thresholds == (0.5,)
    assert cascade.set_preference(max_drop=0.05).exit_thresholds == (0.5,)
    assert cascade.set_preference(max_drop=0.0).exit_thresholds == (0.8,), "the cheapest of those that lose nothing"
    before = cascade.policy
    for wrong in (
        {},
        {"preference": 0.5, "budget": 1.0},
        {"budget": 0.1},
        {"preference": 1.5},
        {"preference": float("nan")},
    ):
        with pytest.raises(OrxeError):
            cascade.set_preference(**wrong)
    assert cascade.policy is before, "a refused preference must change nothing"


def test_an_unfitted_cascade_warns_once_and_uses_the_preference_as_threshold() -> None:
    experts = [Expert(str(i), nn.Identity(), cost=i) for i in range(3)]
    with pytest.warns(UserWarning, match="not fitted.*orxe run"):
        cascade = Cascade(experts, preference=0.7)
    assert cascade.policy.exit_thresholds == (0.7, 0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cascade.set_preference(1.0).exit_thresholds == (None, None)
    with pytest.raises(OrxeError, match="budget needs a fitted cascade"):
        cascade.set_preference(budget=1.0)


def test_thresholds_are_in_no_state_dict_and_survive_a_deep_copy() -> None:
    cascade = Cascade.from_modules([nn.Linear(2, 2), nn.Linear(2, 2)], [0.6])
    assert set(cascade.state_dict()) == {f"experts.{i}.module.{name}" for i in (0, 1) for name in ("weight", "bias")}
    twin = copy.deepcopy(cascade)
    assert twin.policy == cascade.policy and twin.members[0] is not cascade.members[0]
    batch = torch.randn(9, 2)
    assert torch.equal(twin(batch), cascade(batch))


def test_half_precision_outputs_keep_a_float_confidence() -> None:
    cascade = Cascade.from_modules([nn.Linear(4, 3), nn.Linear(4, 3)], [0.5]).to(torch.bfloat16)
    outputs, route = cascade.route(torch.randn(7, 4, dtype=torch.bfloat16))
    assert outputs.dtype == torch.bfloat16 and route.confidence.dtype == torch.float32


@pytest.mark.parametrize(
    ("thresholds_", "message"),
    [([0.5, 0.5], "expected 1"), ([1.5], "1.5: expected a number in"), ([float("nan")], "nan"), (["high"], "'high'")],
)
def test_wrong_thresholds_are_refused(thresholds_: list, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        Cascade.from_modules([nn.Linear(2, 2), nn.Linear(2, 2)], thresholds_)


def test_the_cost_range_spans_first_exit_to_all_experts() -> None:
    cascade = scripted_cascade(3, Policy((0.5, None)))
    assert cascade.cost_range() == (1.0, 1.0 + 4.0 + 0.5)
