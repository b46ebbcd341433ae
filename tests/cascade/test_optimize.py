"""Optimized cascades answer as they did before; graphs are captured by a stand-in, as no CUDA device is needed here."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from orxe_plugins import Cascade, ClassifierExpert, Expert, OrxeError, Policy, PolicyRow, PolicyTable
from orxe_plugins.cascade.fast_path import chunks_of
from orxe_plugins.cascade.graphs import wide_step
from orxe_plugins.cascade.optimize import OptimizeOptions, optimize_experts
from orxe_plugins.cascade.optimize_report import OptimizeReport
from orxe_plugins.confidence import Margin
from orxe_plugins.data.views import ImageView

SIZES = (1, 4, 8)


def classifier(seed: int, width: int, **options: Any) -> ClassifierExpert:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
    module.extend([nn.Flatten(), nn.Linear(4 * width, 5)])
    nn.init.normal_(module[-1].weight)
    return ClassifierExpert(f"net-{seed}", module, view=ImageView((12, 12), 12), num_classes=5, **options)


def pair(threshold: float = 0.7) -> Cascade:
    return Cascade([classifier(0, 4, confidence=Margin()), classifier(1, 16)], Policy((threshold,)))


class StandIn:
    """Captures by noting what to run; replays run it again, on the input of the capture."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.sizes: list[int] = []
        self.replays: list[int] = []
        self.fails_at = fails_at

    def __call__(self, work: Callable[[Tensor], Any], view: Tensor) -> Any:
        if len(view) == self.fails_at:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.sizes.append(len(view))
        outputs = tuple(part.clone() for part in work(view))

        def replay() -> None:
            self.replays.append(len(view))
            for store, part in zip(outputs, work(view), strict=True):
                store.copy_(part)

        return replay, outputs


def graphed(cascade: Cascade, capture: StandIn, dtype: torch.dtype | None = None) -> OptimizeReport:
    options = OptimizeOptions(torch.device("cpu"), dtype, SIZES, "graphs")
    n = range(len(cascade.experts))
    fast, report = optimize_experts(cascade.members, n, cascade.setup, options, capture=capture)
    cascade.setup = replace(cascade.setup, fast=fast)
    return report


@pytest.fixture(autouse=True)
def only_the_sizes_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes between are added by what was timed, and a busy machine's times are anything."""
    monkeypatch.setattr("orxe_plugins.cascade.optimize.wide_step", lambda ms: [])


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 27])
def test_graphs_answer_as_the_models_for_every_number_of_samples(count: int) -> None:
    batch, cascade = torch.randn(count, 3, 12, 12), pair()
    with torch.no_grad():
        outputs, route = pair().route(batch)
    capture = StandIn()
    report = graphed(cascade, capture)
    assert [one.reason for one in report.experts] == ["", ""] and capture.sizes == [8, 4, 1] * 2
    capture.replays.clear()
    for _ in range(2):  # what an earlier batch left in a graph's input must not show
        found, there = cascade.route(batch)
        torch.testing.assert_close(found, outputs, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(there.confidence, route.confidence, rtol=1e-4, atol=1e-5)
        assert torch.equal(there.expert, route.expert) and torch.equal(there.cost, route.cost)
    assert sum(capture.replays) >= 2 * int(route.ran.sum()), "some samples did not go through a graph"


@given(ms=st.dictionaries(st.integers(1, 24), st.floats(0.1, 9), min_size=1, max_size=5))
def test_a_batch_is_cut_so_that_its_graphs_take_the_least_time(ms: dict[int, float]) -> None:
    chunks = chunks_of(ms)
    least = [0.0]
    for count, sizes in enumerate(chunks):
        assert sum(sizes) >= count and set(sizes) <= set(ms)
        took = sum(ms[size] for size in sizes)
        if count:
            least.append(min(ms[size] + least[max(count - size, 0)] for size in ms))
        assert took == pytest.approx(least[count])


@given(st.dictionaries(st.integers(1, 300), st.floats(0.01, 100), min_size=1, max_size=6))
def test_sizes_are_added_in_the_middle_of_wide_steps_alone(ms: dict[int, float]) -> None:
    sizes = sorted(ms)
    for _ in range(300):
        added = wide_step(ms)
        if not added:
            break
        small = max(size for size in sizes if size < added[0])
        large = min(size for size in sizes if size > added[0])
        assert ms[large] - ms[small] > 0.25 * ms[large] and large - small >= 4
        ms[added[0]] = (ms[small] + ms[large]) / 2
        sizes = sorted(ms)
    assert not wide_step(ms), "it never ends"


def test_graphs_of_added_sizes_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter([[6], [2], [], [6], [2], []])
    monkeypatch.setattr("orxe_plugins.cascade.optimize.wide_step", lambda ms: next(steps))
    capture, cascade, batch = StandIn(), pair(), torch.randn(11, 3, 12, 12)
    report = graphed(cascade, capture)
    assert capture.sizes == [8, 4, 1, 6, 2] * 2 and list(report.experts[0].ms) == [1, 2, 4, 6, 8]
    with torch.no_grad():
        outputs, route = pair().route(batch)
    got, same = cascade.route(batch)
    assert torch.equal(same.expert, route.expert)
    torch.testing.assert_close(got, outputs, rtol=1e-4, atol=1e-5)


def test_where_a_capture_fails_the_expert_runs_as_before_and_the_report_says_why() -> None:
    cascade, batch = pair(), torch.randn(9, 3, 12, 12)
    report = graphed(cascade, StandIn(fails_at=4))
    assert all("not permitted when stream is capturing" in one.reason for one in report.experts)
    assert torch.equal(cascade.route(batch)[0], pair().route(batch)[0]) and "as before" in str(report)


def test_weights_that_change_are_seen() -> None:
    cascade, batch = pair(0.0), torch.randn(4, 3, 12, 12)
    capture = StandIn()
    graphed(cascade, capture, torch.bfloat16)
    before = cascade.route(batch)[0]
    other = classifier(7, 4).module
    cascade.members[0].module.load_state_dict(other.state_dict())
    capture.replays.clear()
    torch.testing.assert_close(cascade.route(batch)[0], other.eval()(batch))
    assert not capture.replays and not torch.allclose(before.float(), cascade.route(batch)[0])


def test_half_precision_runs_under_autocast_with_confidences_in_float32() -> None:
    cascade, batch = pair(), torch.randn(30, 3, 12, 12)
    outputs, route = cascade.route(batch)
    report = cascade.optimize(dtype=torch.bfloat16, batch_sizes=SIZES, backend="eager")
    found, there = cascade.route(batch)
    assert there.confidence.dtype == torch.float32 and found.dtype == torch.bfloat16
    same = there.expert == route.expert
    assert same.float().mean() > 0.8
    torch.testing.assert_close(found[same].float(), outputs[same], rtol=0.05, atol=0.1)
    assert report.copies > 0 and {way for one in report.experts for way in one.ways.values()} == {"channels_last"}
    assert all(p.dtype == torch.float32 for p in cascade.parameters()), "the models themselves changed"


@pytest.mark.parametrize("compiler", ["eager", pytest.param("inductor", marks=pytest.mark.long)])
def test_compiled_models_answer_as_before(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=compiler))
    cascade, batch = pair(), torch.randn(13, 3, 12, 12)
    outputs, route = cascade.route(batch)
    report = cascade.optimize(batch_sizes=(1, 8), backend="compile")
    assert not any(one.reason for one in report.experts), str(report)
    for _ in range(2):
        found, there = cascade.route(batch)
        torch.testing.assert_close(found, outputs, rtol=1e-4, atol=1e-5)
        assert torch.equal(there.expert, route.expert)
    answers = list(cascade.stream(batch, batch_size=5))
    assert [answer.expert for answer in answers] == route.expert.tolist()


def test_copies_of_a_cascade_are_not_optimized_and_another_cascade_is_untouched() -> None:
    cascade, batch = pair(), torch.randn(6, 3, 12, 12)
    other = Cascade(list(cascade.members), Policy((0.7,)))
    capture = StandIn()
    graphed(cascade, capture)
    capture.replays.clear()
    for twin in (copy.deepcopy(cascade), pickle.loads(pickle.dumps(cascade)), other):
        assert torch.equal(twin.route(batch)[0], pair().route(batch)[0])
    assert not capture.replays


def test_experts_that_need_their_own_way_say_so_and_examples_tell_what_models_take() -> None:
    class Own(Expert):
        def forward(self, batch: Any) -> Any:
            return self.module(batch)

    experts = [Own("own", nn.Linear(6, 3), cost=1.0), Expert("plain", nn.Linear(6, 3), cost=2.0)]
    cascade = Cascade(experts, Policy((0.5,)))
    batch = torch.randn(7, 6)
    report = cascade.optimize(batch_sizes=(1, 4), backend="eager")
    assert [one.reason.partition(":")[0] for one in report.experts] == [
        "a Own has a way of its own to run its model",
        "what its model takes is not known",
    ]
    report = cascade.optimize(batch_sizes=(1, 4), backend="eager", example=batch)
    assert report.experts[1].ways.keys() == {1, 4}
    torch.testing.assert_close(cascade.route(batch)[0], Cascade(experts, Policy((0.5,))).route(batch)[0])
    assert "graphs are a thing of CUDA devices" in cascade.optimize(backend="graphs", example=batch).experts[1].reason


def test_the_number_of_threads_that_is_fastest_is_set_from_then_on() -> None:
    before = torch.get_num_threads()
    try:
        report = pair().optimize("cpu", batch_sizes=(1, 2), backend="eager", threads=(1, 2))
        assert set(report.threads) == {1, 2} and "threads tried: 1 (" in str(report)
        assert torch.get_num_threads() == min(report.threads, key=lambda count: report.threads[count])
    finally:
        torch.set_num_threads(before)


def test_experts_that_no_policy_uses_stay_on_the_host_until_one_does() -> None:
    rows = (PolicyRow(0.0, Policy((0.0, None)), 1.0, 0.8), PolicyRow(0.5, Policy((0.6, 0.0)), 2.0, 0.9))
    table = PolicyTable(rows, reference_cost=4.0, reference_score=0.9)
    experts = [classifier(seed, 4, cost=1.0 + seed) for seed in range(3)]
    cascade = Cascade(experts, table=table)
    report = cascade.optimize("meta", batch_sizes=(1,), backend="eager")
    assert report.on_host == ("net-2",)
    assert [expert.device.type for expert in cascade.members] == ["meta", "meta", "cpu"]
    cascade.policy = Policy.never(3)
    assert cascade.members[2].device.type == "meta"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "fast"}, "backend is 'fast': expected 'graphs', 'compile', 'eager'"),
        ({"batch_sizes": ()}, "batch_sizes is empty"),
        ({"batch_sizes": (0,)}, "batch_sizes is 0"),
        ({"batch_sizes": 3}, "batch_sizes is 3: expected a list of whole numbers"),
        ({"threads": 2}, "threads is 2: expected a list of whole numbers"),
        ({"device": "nope"}, "device 'nope' cannot be used"),
        ({"dtype": torch.int8}, "dtype is torch.int8"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        pair().optimize(**options)


def _new_head(module: nn.Sequential) -> None:
    module[-1] = nn.Linear(16, 5)


@torch.no_grad()
def _one_weight(module: nn.Sequential) -> None:
    module[1].bias.add_(1.0)


@torch.no_grad()
def _one_buffer(module: nn.Sequential) -> None:
    module[1].running_mean.sub_(1.0)


def _one_address(module: nn.Sequential) -> None:
    module[1].bias.data = module[1].bias.data + 1.0


def _one_more_part(module: nn.Sequential) -> None:
    module.append(nn.Tanh())


@pytest.mark.parametrize("change", [_new_head, _one_weight, _one_buffer, _one_address, _one_more_part])
def test_parts_inside_of_a_model_that_change_or_are_exchanged_are_seen(
    change: Callable[[nn.Sequential], None],
) -> None:
    cascade, batch = pair(0.0), torch.randn(4, 3, 12, 12)
    capture = StandIn()
    graphed(cascade, capture, torch.bfloat16)  # from copied weights
    before = cascade.route(batch)[0]
    assert capture.replays
    change(cascade.members[0].module)
    for _ in range(2):
        capture.replays.clear()
        found = cascade.route(batch)[0]
        torch.testing.assert_close(found, cascade.members[0].module(batch))
        assert not torch.allclose(found, before.float(), atol=1e-2)
    assert not capture.replays, "what is out of date is not run again and again"


def test_settings_of_a_confidence_that_change_are_seen() -> None:
    cascade, batch = pair(0.0), torch.randn(4, 3, 12, 12)
    capture = StandIn()
    graphed(cascade, capture)
    cascade.members[0].confidence.temperature = 3.0
    capture.replays.clear()
    route = cascade.route(batch)[1]
    assert not capture.replays
    assert torch.equal(route.confidence, Margin(3.0)(cascade.members[0].module(batch)))
