"""Latencies: measured with a made-up clock, interpolated, and turned into costs of sub-batches."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from orxe_plugins import Expert, OrxeError, Policy, Records, fit_policies, replay
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.experts.measure import Timing, measure_latency
from orxe_plugins.search.batched import batch_ms, batched_costs, with_costs

TABLE = LatencyTable((1, 4, 16), {"a": (2.0, 5.0, 17.0), "b": (10.0, 40.0, 160.0)}, {"repeats": 3})


class Ticking:
    """A clock that a model moves on: 2 ms for a batch and 1 ms for each of its samples; now and then a hiccup."""

    def __init__(self) -> None:
        self.now, self.runs = 0.0, 0

    def __call__(self) -> float:
        return self.now


class Busy(nn.Module):
    def __init__(self, clock: Ticking) -> None:
        super().__init__()
        self.clock = clock

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.clock.runs += 1
        self.clock.now += 0.002 + 0.001 * len(x)
        if self.clock.runs % 5 == 1:  # the first run, too, is a slow one
            self.clock.now += 1.0
        return x


def test_medians_are_measured_after_a_warm_up() -> None:
    clock = Ticking()
    table = measure_latency(
        [Expert("busy", Busy(clock), cost=1)],
        lambda size: torch.rand(size, 3),
        (8, 1, 8),
        timing=Timing(warmup=2, repeats=5, clock=clock),
    )
    assert table.batch_sizes == (1, 8)
    assert table.ms["busy"] == pytest.approx((3.0, 10.0))
    assert clock.runs == 2 * (2 + 5)
    with pytest.raises(OrxeError, match="repeats is 0"):
        Timing(repeats=0)


def test_a_table_survives_its_file_and_says_what_is_wrong(tmp_path: Path) -> None:
    TABLE.save(tmp_path / "latency.json")
    assert LatencyTable.load(tmp_path / "latency.json") == TABLE
    (tmp_path / "broken.json").write_text("{}")
    for name in ("broken.json", "none.json"):
        with pytest.raises(OrxeError, match=f"{name}' is not a readable table of latencies"):
            LatencyTable.load(tmp_path / name)
    with pytest.raises(OrxeError, match="unknown expert with a latency 'c'"):
        TABLE.batch_ms("c", 1)
    for sizes, row, message in (((4, 1), (1.0, 2.0), "rising"), ((1, 4), (1.0,), "expected 2 numbers")):
        with pytest.raises(OrxeError, match=message):
            LatencyTable(sizes, {"a": row}, {})


def test_batches_between_measured_sizes() -> None:
    assert TABLE.batch_ms("a", [0, 0.5, 1, 2, 4, 10, 16, 32]) == pytest.approx([0, 2, 2, 3, 5, 11, 17, 34])


@given(st.integers(1, 40), st.floats(0.01, 1))
def test_an_expected_sub_batch_is_the_mean_over_all_that_may_come(batch_size: int, share: float) -> None:
    # b takes 10 ms per sample whatever the batch: only its mean size matters.
    assert TABLE.expected_ms("b", batch_size, share) == pytest.approx(10 * batch_size * share, rel=1e-6)
    assert TABLE.per_sample("b", batch_size, share) == pytest.approx(10, rel=1e-6)
    # a is dearer per sample in small batches.
    assert TABLE.per_sample("a", batch_size, share) >= TABLE.per_sample("a", batch_size, 1.0) - 1e-9


@example(batch_size=2, share=1.2e-308)
@given(batch_size=st.integers(1, 4), share=st.floats(0, 1))
def test_an_expected_sub_batch_agrees_with_counting_all_of_them(batch_size: int, share: float) -> None:
    expected = sum(
        np.prod([share if comes else 1 - share for comes in which]) * float(TABLE.batch_ms("a", sum(which)))
        for which in itertools.product([0, 1], repeat=batch_size)
    )
    assert TABLE.expected_ms("a", batch_size, share) == pytest.approx(expected)


def made_up(m: int = 600) -> Records:
    rng = np.random.default_rng(0)
    chance = np.clip(np.array([1.1, 1.4])[:, None] - rng.random(m), 0.05, 0.98)
    confidence = np.clip(chance + rng.normal(0, 0.05, (2, m)), 0, 1)
    return Records.from_arrays(["a", "b"], [1, 2], confidence, rng.random((2, m)) < chance)


def test_costs_rest_where_policies_and_sub_batches_agree() -> None:
    records = made_up()
    latency = LatencyTable((1, 32), {"a": (1.0, 4.0), "b": (20.0, 51.0)}, {})
    found = batched_costs(records, latency, [0.5, 0.8, 0.9], 32)
    assert found.settled
    priced = with_costs(records, found.ms, "ms")
    table = fit_policies(priced, [0.5, 0.8, 0.9])
    assert table.cost_unit == "ms"
    shares = [replay(priced, row.policy).run_share[1] for row in table]
    seen = np.mean([share for share in shares if share > 0])
    assert found.share["b"] == pytest.approx(seen, abs=0.05)
    assert found.ms["b"] == pytest.approx(latency.per_sample("b", 32, found.share["b"]))
    assert found.ms["b"] > latency.per_sample("b", 32, 1.0), "a part of a batch costs more per sample than all of it"


def test_a_constant_latency_needs_no_second_thought() -> None:
    records = made_up()
    found = batched_costs(records, LatencyTable((1, 64), {"a": (1.0, 64.0), "b": (5.0, 320.0)}, {}), [0.5, 0.9], 16)
    assert found.rounds == 1 and found.ms == pytest.approx({"a": 1.0, "b": 5.0})
    policy = Policy((0.6,))
    priced = with_costs(records, found.ms, "ms")
    latency = LatencyTable((1, 64), {"a": (1.0, 64.0), "b": (5.0, 320.0)}, {})
    assert batch_ms(priced, policy, latency, 16) == pytest.approx(replay(priced, policy).cost)


def test_other_costs_put_the_experts_in_their_order() -> None:
    records = with_costs(made_up(), {"a": 9.0, "b": 3.0, "more": 1.0}, "mJ")
    assert records.names == ("b", "a") and records.cost.tolist() == [3.0, 9.0] and records.cost_unit == "mJ"
    assert fit_policies(records, [0.5]).cost_unit == "mJ"
    with pytest.raises(OrxeError, match="unknown expert with a cost 'b'"):
        with_costs(made_up(), {"a": 1.0}, "mJ")
    with pytest.raises(OrxeError, match="cost of 'b' is -1"):
        with_costs(made_up(), {"a": 1.0, "b": -1}, "mJ")


def test_exits_inside_a_backbone_have_no_latency_of_their_own() -> None:
    shared = Records.from_arrays(["a", "b"], [1, 2], [[0.5], [0.5]], [[1], [1]], shared_cost=[1, 2])
    with pytest.raises(OrxeError, match="exits inside one backbone"):
        batched_costs(shared, TABLE, [0.5], 8)
    with pytest.raises(OrxeError, match="batch_size is 0"):
        batched_costs(made_up(), TABLE, [0.5], 0)
