"""The router beside the rule in plain words, and what it asks of a device: one wait per stage, and no needless copy."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_experts import Picked, Stages, exits_of, logits
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from orxe_plugins import Cascade, Detections, Expert, OrxeError, Policy, Route
from orxe_plugins.cascade.faults import Fault
from orxe_plugins.cascade.route import _packed, _unpacked
from orxe_plugins.experts.detector import DetectorExpert

#: what makes the host wait for a device, reads values one by one, or copies what need not be copied
WAITS = ("nonzero", "_local_scalar_dense", "_to_copy", "index_put", "index_put_", "masked_select", "clone")


class Counting(TorchDispatchMode):
    """Counts operations by their name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.partition(".")[0]
        if name == "index" and any(part is not None and part.dtype == torch.bool for part in args[1]):
            name = "nonzero"  # which is what an index of booleans comes to
        self.calls[name] += 1
        return func(*args, **(kwargs or {}))

    @property
    def waits(self) -> dict[str, int]:
        return {name: self.calls[name] for name in WAITS if self.calls[name]}


def by_hand(experts: Sequence[Expert], policy: Policy, sample: Tensor) -> tuple[Tensor, int, float, float, list[bool]]:
    """Output, expert, confidence, cost and who ran, of one sample, written after the words of `Cascade.route`."""
    last = len(experts) - 1
    ran, output, expert, sure = [False] * len(experts), torch.empty(0), -1, 0.0
    for i in range(len(experts)):
        if i < last and policy.exit_thresholds[i] is None:
            continue
        if expert >= 0 and i < last and sure < torch.tensor(policy.skip_thresholds[i]):
            continue
        answers = experts[i].run(sample[None])
        ran[i], expert, output = True, i, answers.outputs[0]
        sure = float(torch.nan_to_num(answers.confidence, nan=0.0)[0])
        if i < last and sure >= torch.tensor(policy.exit_thresholds[i]):
            break
    cost = sum(float(e.cost or 0) for e, was in zip(experts, ran, strict=True) if was) + experts[expert].shared_cost
    return output, expert, sure, cost, ran


shares = st.sampled_from([0.0, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0])


@settings(max_examples=100)
@given(data=st.data(), n=st.integers(1, 5), m=st.integers(1, 10), seed=st.integers(0, 2**31))
def test_a_batch_is_routed_as_each_of_its_samples_by_hand(data: st.DataObject, n: int, m: int, seed: int) -> None:
    policy = Policy(data.draw(st.tuples(*[st.none() | shares] * (n - 1))), data.draw(st.tuples(*[shares] * (n - 1))))
    batch = torch.randn((m, n, 3), generator=torch.Generator().manual_seed(seed)) * 2
    if data.draw(st.booleans()):
        batch[data.draw(st.integers(0, m - 1)), data.draw(st.integers(0, n - 1))] = float("nan")
    experts = [Expert(f"e{i}", Picked(i), cost=2.0**i, shared_cost=0.25 * i) for i in range(n)]
    outputs, route = Cascade(experts, policy).route(batch)
    for row, sample in enumerate(batch):
        output, expert, sure, cost, ran = by_hand(experts, policy, sample)
        assert torch.equal(outputs[row].nan_to_num(), output.nan_to_num())
        assert (int(route.expert[row]), float(route.cost[row]), route.ran[row].tolist()) == (expert, cost, ran)
        assert float(route.confidence[row]) == pytest.approx(sure, abs=1e-6)  # a batch rounds otherwise than one row


def counted(cascade: Cascade, batch: Any) -> tuple[Counting, Route]:
    cascade.route(batch)  # costs are counted and placed before the first batch
    with Counting() as counting, torch.inference_mode():
        route = cascade.route(batch)[1]
    return counting, route


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_tensors_are_routed_without_a_wait_but_for_the_survivors(threshold: float) -> None:
    n = 4
    experts = [Expert(f"e{i}", Picked(i), cost=1.0 + i) for i in range(n)]
    counting, route = counted(Cascade(experts, Policy.uniform(threshold, n)), logits(24, n, 1))
    assert not counting.waits
    # Rows are selected where some go on and some do not, and nowhere else.
    compacted = sum(0 < count < 24 for count in route.ran.sum(dim=0).tolist())
    assert counting.calls["index_select"] == compacted
    assert counting.calls["index_copy"] == compacted
    assert (compacted > 0) == (threshold == 0.7)


class Boxes(DetectorExpert):
    """As many boxes as an image has rows, with scores out of its pixels."""

    def __init__(self, place: int) -> None:
        super().__init__(f"d{place}", nn.Identity(), names=("a",), cost=1.0 + place)
        self.place = place

    def forward(self, batch: Sequence[Tensor]) -> list[Detections]:
        scores = [image[self.place].sigmoid() for image in batch]
        return [Detections(s[:, None].expand(-1, 4), s, torch.zeros(len(s), dtype=torch.int64), ("a",)) for s in scores]


def test_lists_of_detections_are_routed_without_a_wait_per_image_or_box() -> None:
    cascade = Cascade([Boxes(0), Boxes(1), Boxes(2)], Policy((0.6, 0.6)))
    counts = {}
    for m in (6, 60):
        images = list(logits(m, 3, 1))
        counting, route = counted(cascade, images)
        assert 0 < int(route.ran[:, 2].sum()) < m
        counts[m] = counting.waits
    assert counts[6] == counts[60], "what the host waits for grows with the images"
    assert counts[6].get("nonzero", 0) + counts[6].get("_local_scalar_dense", 0) == 0


@pytest.mark.parametrize("skip", [False, True])
def test_exits_of_a_backbone_are_routed_without_a_wait_but_for_the_survivors(skip: bool) -> None:
    experts, batch = exits_of(Stages()), torch.randn(24, 3, 2, 2)
    cascade = Cascade(experts, Policy((1.0, 1.0)))
    with torch.no_grad():
        first, second = (expert.run(batch, cascade.context(batch)).confidence for expert in experts[:2])
    skips = (0.0, float(first.quantile(0.3)) if skip else 0.0)
    cascade.policy = Policy((float(first.quantile(0.7)), float(second.median())), skips)
    counting, route = counted(cascade, batch)
    assert all(0 < count < 24 for count in route.ran.sum(dim=0).tolist()[1:])
    assert not counting.waits


def test_costs_are_placed_once_for_all_batches() -> None:
    cascade = Cascade.from_modules([nn.Linear(3, 2), nn.Linear(3, 2)], [0.6], costs=[1, 2])
    counting, _ = counted(cascade, torch.randn(5, 3))
    assert not {"_to_copy", "copy_", "detach_", "full"} & counting.calls.keys()


def test_a_route_on_the_host_is_itself_and_holds_its_values() -> None:
    cascade = Cascade.from_modules([nn.Linear(3, 2), nn.Linear(3, 2)], [0.6], costs=[1, 2])
    route = cascade.route(torch.randn(7, 3))[1]
    assert route.to_host() is route
    for part in ("expert", "confidence", "cost", "ran"):
        away = replace(route, **{part: getattr(route, part).to("meta")})
        with pytest.raises(NotImplementedError):
            away.to_host()  # "meta" holds no values to bring over


@given(seed=st.integers(0, 2**31))
def test_a_route_comes_to_the_host_in_one_transfer_and_unchanged(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    cost = torch.rand(6, generator=draw, dtype=torch.float64)
    cost[2] = float("nan")
    ran = torch.rand((6, 3), generator=draw) < 0.5
    route = Route(
        torch.randint(0, 3, (6,), generator=draw), torch.rand(6, generator=draw), cost, ran, unsound=ran[:, 0]
    )
    there = _unpacked(_packed(route), route)
    for part in ("expert", "confidence", "cost", "ran", "unsound"):
        mine, its = getattr(route, part), getattr(there, part)
        assert mine.dtype == its.dtype and torch.equal(mine.nan_to_num(), its.nan_to_num())


def test_a_route_is_made_when_somebody_looks_and_lives_on_in_copies() -> None:
    cascade = Cascade.from_modules([nn.Linear(3, 2), nn.Linear(3, 2)], [0.6], costs=[1, 2])
    batch = torch.randn(7, 3)
    route = cascade.route(batch)[1]
    assert "expert" not in vars(route)
    copied = pickle.loads(pickle.dumps(cascade.route(batch)[1]))
    marked = replace(cascade.route(batch)[1], failed=(Fault(0, 1, "made up"),))
    for part in ("expert", "confidence", "cost", "ran", "unsound", "confidences"):
        for other in (copied, marked, cascade.route(batch)[1].to_host()):
            assert torch.equal(getattr(route, part).nan_to_num(), getattr(other, part).nan_to_num())
    assert marked.faults and not route.faults and "expert" in vars(route)
    with pytest.raises(AttributeError, match="a Route has no attribute 'experts'"):
        route.experts


class Elsewhere:
    """A trace on a device that no tensor can be read from."""

    device = torch.device("meta")

    def __init__(self) -> None:
        self.asked: list[torch.device] = []

    def on(self, device: torch.device) -> Route:
        self.asked.append(device)
        return Route(*torch.zeros(3, 2, device=device), torch.zeros(2, 3, dtype=torch.bool, device=device))


def test_a_route_that_nobody_looked_at_is_made_on_the_host_at_once() -> None:
    trace = Elsewhere()
    route = Route.of(trace)
    assert route.to_host().expert.tolist() == [0, 0] and trace.asked == [torch.device("cpu")]
    assert route.expert.is_meta and trace.asked == [torch.device("cpu"), trace.device]


class Fewer(nn.Module):
    """Answers one row, whatever it is asked."""

    def forward(self, batch: Tensor) -> Tensor:
        return batch[:1]


@pytest.mark.parametrize("place", [0, 1])
def test_an_expert_that_gives_another_number_of_answers_is_named(place: int) -> None:
    modules = [nn.Identity(), nn.Identity()]
    modules[place] = Fewer()
    cascade = Cascade.from_modules(modules, [1.0], names=["near", "far"], costs=[1, 2])
    with pytest.raises(OrxeError, match=f"'{('near', 'far')[place]}' gave 1 answers to 5 samples"):
        cascade.route(torch.randn(5, 3))
    assert cascade.route(torch.randn(1, 3))[0].shape == (1, 3)
