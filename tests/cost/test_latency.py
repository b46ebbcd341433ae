"""Latencies: measured with a made-up clock, interpolated, and turned into costs of sub-batches."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from orxe_plugins import Expert, OrxeError, Policy, Records, fit_policies, replay
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.cost.time_cost import TimeCost
from orxe_plugins.experts.measure import Timing, measure_latency
from orxe_plugins.search.batched import batch_ms, batched_costs, policy_ms, stream_costs, with_costs, with_time

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
    with pytest.raises(OrxeError, match="unknown precision 'fp8'"):
        Timing(dtype="fp8")


def test_spread_and_single_samples_are_measured_too() -> None:
    clock = Ticking()
    table = measure_latency(
        [Expert("busy", Busy(clock), cost=1)],
        lambda size: torch.rand(size, 3),
        (4,),
        timing=Timing(warmup=1, repeats=10, clock=clock, singles=20),
    )
    low, high = table.spread["busy"][0]
    assert low == pytest.approx(6.0) and high > 6.0, "one run of five has a hiccup"
    assert len(table.single["busy"]) == 20 and table.single["busy"][0] == pytest.approx(3.0)
    assert table.details["dtype"] == "fp32" and table.details["machine"]


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


def with_exits() -> Records:
    """A saver, two exits of a backbone that a third expert is the end of."""
    chance = np.array([[0.5], [0.6], [0.8], [0.95]])
    rng = np.random.default_rng(1)
    score = (rng.random((4, 500)) < chance).astype(np.uint8)
    confidence = np.clip(0.4 * score + 0.6 * rng.random((4, 500)), 0, 1)
    names = ["saver", "exit 1", "exit 2", "end"]
    return Records.from_arrays(names, [0.5, 0.1, 0.1, 0.2], confidence, score, shared_cost=[0, 2, 5, 9])


EXITS = LatencyTable(
    (1, 16),
    {"saver": (1.0, 8.0), "exit 1": (0.5, 1.0), "exit 2": (0.5, 1.0), "end": (0.5, 1.0)},
    {},
    shared={"exit 1": (4.0, 32.0), "exit 2": (8.0, 64.0), "end": (12.0, 96.0)},
)


def test_exits_pay_for_the_backbone_up_to_them() -> None:
    costs = stream_costs(with_exits(), EXITS, 16)
    assert costs.ms == pytest.approx({"saver": 0.5, "exit 1": 1 / 16, "exit 2": 1 / 16, "end": 1 / 16})
    assert costs.shared == pytest.approx({"exit 1": 2.0, "exit 2": 4.0, "end": 6.0})
    priced = with_time(with_exits(), costs)
    assert priced.cost_unit == "ms" and priced.shared_cost.tolist() == pytest.approx([0, 2, 4, 6])
    policy = Policy((0.7, 0.7, 0.7))
    times = TimeCost(EXITS, 16, "throughput")
    assert policy_ms(priced, policy, times) == pytest.approx(replay(priced, policy).cost)


def test_exits_in_a_batch_cost_more_where_fewer_samples_come_so_far() -> None:
    found = batched_costs(with_exits(), EXITS, [0.3, 0.6, 0.9], 16)
    stream = stream_costs(with_exits(), EXITS, 16)
    for name, value in found.shared.items():
        assert value >= stream.shared[name] - 1e-9
    assert found.shared["exit 1"] <= found.shared["exit 2"] <= found.shared["end"]


def test_times_of_an_exit_without_its_backbone_are_refused() -> None:
    lacking = LatencyTable(EXITS.batch_sizes, EXITS.ms, {})
    with pytest.raises(OrxeError, match="'exit 1' say nothing of the backbone"):
        batched_costs(with_exits(), lacking, [0.5], 8)
    with pytest.raises(OrxeError, match="batch_size is 0"):
        batched_costs(made_up(), TABLE, [0.5], 0)


def test_a_stream_takes_the_time_of_full_batches_whatever_the_policy() -> None:
    costs = stream_costs(made_up(), TABLE, 16)
    assert costs.ms == pytest.approx({"a": 17 / 16, "b": 10.0})
    # A batch of the same size takes longer: an expert gets a part of it alone.
    assert batched_costs(made_up(), TABLE, [0.3, 0.6], 16).ms["a"] >= costs.ms["a"] - 1e-9


@given(st.integers(1, 64), st.floats(0.02, 1))
def test_a_stream_never_takes_longer_than_a_batch(size: int, share: float) -> None:
    # Times that grow more slowly than batches do: a part of a batch costs more per sample than all of it.
    batch, stream = (TimeCost(TABLE, size, kind) for kind in ("latency", "throughput"))
    assert stream.own_ms("a", share) <= batch.own_ms("a", share) + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spread": {"a": [[1, 2]]}}, "spread of 'a'"),
        ({"spread": {"a": [[3, 2], [1, 2], [1, 2]]}}, "rising pairs"),
        ({"single_ms": {"a": [2.0, 1.0]}}, "expected rising numbers"),
        ({"single_ms": {"a": []}}, "for one sample"),
        ({"shared_ms_per_batch": {"z": [1, 2, 3]}}, "unknown expert with a latency 'z'"),
        ({"ms_per_batch": {"a": [1, "2", 3]}}, r"ms_per_batch.a\[1\] is '2'"),
        ({"ms_per_batch": {"a": [1, float("nan"), 3]}}, "latencies of 'a'"),
        ({"ms_per_batch": {}}, "without experts"),
        ({"batch_sizes": [1, 2.5, 4]}, r"batch_sizes\[1\] is 2.5"),
        ({"batch_sizes": None}, "not a readable table"),
        ({"details": [1]}, "not a readable table"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    whole = LatencyTable((1, 4, 16), TABLE.ms, {}, {"a": ((1, 2),) * 3}, {"b": (1.0, 2.0, 3.0)}, {"a": (1.0, 2.0)})
    (tmp_path / "times.json").write_text(json.dumps(whole.to_dict()))
    assert LatencyTable.load(tmp_path / "times.json") == whole
    (tmp_path / "times.json").write_text(json.dumps({**whole.to_dict(), **change}))
    with pytest.raises(OrxeError, match=message):
        LatencyTable.load(tmp_path / "times.json")


def test_tables_join_at_the_sizes_that_all_have() -> None:
    small = LatencyTable((1, 4), {"c": (1.0, 2.0)}, {})
    joined = LatencyTable.joined([TABLE, small])
    assert joined.batch_sizes == (1, 4) and joined.ms == {"a": (2.0, 5.0), "b": (10.0, 40.0), "c": (1.0, 2.0)}
    with pytest.raises(OrxeError, match="no batch size at which all"):
        LatencyTable.joined([TABLE, LatencyTable((2,), {"c": (1.0,)}, {})])
