"""Experts that serve in two cascades: each cascade answers as if it were alone, in turn and in threads at once."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from orxe_plugins import Cascade, ClassifierExpert, Expert, OrxeError, Policy
from orxe_plugins.cascade.build import build_cascade
from orxe_plugins.confidence import MaxSoftmax
from orxe_plugins.data.views import ImageView
from orxe_plugins.detection.detections import Detections
from orxe_plugins.esn import EndExpert, ExitExpert, ExitNetwork, NetworkShape
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import FeatureLayer

THREADS, ROUNDS = 8, 6


@dataclass
class Pair:
    """Two cascades, how to make each of them anew of experts of its own, and batches for either."""

    first: Cascade
    second: Cascade
    fresh: tuple[Callable[[], Cascade], Callable[[], Cascade]]
    batches: tuple[list[Any], list[Any]]


class FeatureMean(MaxSoftmax):
    """A confidence that looks at features, as a ranking gate does."""

    needs_features = True

    def forward(self, outputs: Tensor, features: Tensor | None = None) -> Tensor:
        assert features is not None
        return (features.mean(dim=1) * 4).sigmoid()


def classifier(seed: int, size: int, resize: int, gate: bool = False) -> ClassifierExpert:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4))
    nn.init.normal_(module[-1].weight)
    view = ImageView((size, size), resize)
    expert = ClassifierExpert(f"net-{seed}", module, view=view, num_classes=4).eval()
    expert.feature_layer = FeatureLayer("4", "input")
    if gate:
        expert.confidence = FeatureMean()
    return expert


def classifiers(gate: bool) -> Pair:
    """Two cascades whose one tensor shows different views."""

    def first() -> ClassifierExpert:
        return classifier(0, 16, 20, gate)

    shared = first()
    ends = (classifier(1, 16, 16), classifier(2, 32, 40))
    cascades = [Cascade([shared, end], Policy((0.5,))) for end in ends]
    assert cascades[0].input_view != cascades[1].input_view
    fresh = (
        lambda: Cascade([first(), classifier(1, 16, 16)], Policy((0.5,))),
        lambda: Cascade([first(), classifier(2, 32, 40)], Policy((0.5,))),
    )
    batches = tuple([torch.randn(5 + i, 3, *c.input_view.size) for i in range(3)] for c in cascades)
    return middled(Pair(*cascades, fresh, batches))  # type: ignore[arg-type]


class Colours(DetectorExpert):
    """One box for each label, with scores out of an image's mean colour."""

    def __init__(self, name: str, names: Sequence[str], cost: float = 1.0) -> None:
        torch.manual_seed(len(name))
        super().__init__(name, nn.Linear(3, len(names)), names=names, cost=cost)
        nn.init.normal_(self.module.weight)
        self.requires_grad_(False)

    def forward(self, batch: Sequence[Any]) -> list[Detections]:
        return [self._found(self.module(image.mean(dim=(1, 2))[None])[0].sigmoid()) for image in batch]

    def _found(self, scores: Tensor) -> Detections:
        k = len(scores)
        boxes = torch.arange(4.0).repeat(k, 1) + torch.tensor([0.0, 0.0, 1.0, 1.0])
        return Detections(boxes, scores, torch.arange(k), self.names)


def detectors(gate: bool) -> Pair:
    """Two cascades with different label spaces, one of them by a remap that the shared expert has no say in."""

    def first() -> Colours:
        return Colours("shared", ("auto", "bird", "cat"))

    def other() -> Colours:
        return Colours("other", ("cat", "car", "bird"), 2.0)

    def third() -> Colours:
        return Colours("the third", ("bird", "auto", "cat"), 2.0)

    def one(shared: Colours) -> Cascade:
        remap = {"auto": "car"}
        return build_cascade([shared, other()], adapter="timm", exit_thresholds=[0.5], remap=remap)

    def two(shared: Colours) -> Cascade:
        names = ("cat", "auto", "bird")
        return build_cascade([shared, third()], adapter="timm", exit_thresholds=[0.5], names=names)

    shared = first()
    if gate:
        shared.feature_layer, shared.confidence = FeatureLayer("", "output"), FeatureMean()

    def fresh() -> Colours:
        expert = first()
        expert.feature_layer, expert.confidence = shared.feature_layer, shared.confidence
        return expert

    images = [torch.rand(3, 6, 6 + i % 3) for i in range(9)]
    batches = ([images[:4], images[3:], images], [images, images[1:6], images[5:]])
    return middled(Pair(one(shared), two(shared), (lambda: one(fresh()), lambda: two(fresh())), batches))


class Stages:
    """A backbone of three convolutions and a head."""

    names, widths, shapes = ("a", "b", "c"), (5, 5, 5), ((5, 8, 8),) * 3

    def __init__(self) -> None:
        torch.manual_seed(7)
        layers = [nn.Conv2d(3 if i == 0 else 5, 5, 3, padding=1) for i in range(3)]
        self.model = nn.ModuleDict({"layers": nn.ModuleList(layers), "head": nn.Linear(5, 4)}).eval()
        nn.init.normal_(self.model["head"].weight, std=3.0)

    def stage(self, index: int, values: Tensor) -> Tensor:
        return self.model["layers"][index](values).tanh()  # type: ignore[index]

    def pool(self, index: int, values: Tensor) -> Tensor:
        return values.mean(dim=(2, 3))

    def head(self, values: Tensor) -> Tensor:
        return self.model["head"](values.mean(dim=(2, 3)))


def exit_pool() -> list[Expert]:
    """A saver, two exits behind it and the backbone's end; every one holds a backbone of its own."""
    saver, view = classifier(3, 12, 12), ImageView((8, 8), 8)
    torch.manual_seed(11)
    network = ExitNetwork(NetworkShape((0, 1), (5, 5), 4, 24, dim=8, heads=2)).eval()
    for head in network.heads:
        nn.init.normal_(head.weight)
    common: dict[str, Any] = {"key": "stages", "view": view, "num_classes": 4}
    exits = [
        ExitExpert(
            f"exit-{stage}", Stages(), network, stage=stage, saver=(saver.name, lambda: classifier(3, 12, 12)), **common
        )
        for stage in (0, 1)
    ]
    end = EndExpert("end", Stages(), **common)
    end.feature_layer = FeatureLayer("head", "input")
    return [saver, *(each.eval() for each in exits), end.eval()]


def exits(gate: bool) -> Pair:
    """Two cascades on one backbone: one with both exits; one with the second alone behind a wider classifier."""

    def one(pool: Sequence[Expert]) -> Cascade:
        return Cascade(pool, Policy((0.5,) * 3))

    def two(pool: Sequence[Expert]) -> Cascade:
        saver, _, exit_1, end = pool
        return Cascade([classifier(5, 32, 40), saver, exit_1, end], Policy((0.5, None, 0.5)))

    def gated() -> list[Expert]:
        pool = exit_pool()
        if gate:
            pool[2].confidence = FeatureMean()
        return pool

    pool = gated()
    cascades = one(pool), two(pool)
    batches = tuple([torch.randn(6 + i, 3, *c.input_view.size) for i in range(3)] for c in cascades)
    return middled(Pair(*cascades, (lambda: one(gated()), lambda: two(gated())), batches))  # type: ignore[arg-type]


def middled(pair: Pair) -> Pair:
    """The pair with thresholds at which part of the samples goes on."""
    for cascade, batches in ((pair.first, pair.batches[0]), (pair.second, pair.batches[1])):
        thresholds = []
        with torch.inference_mode():
            for expert in cascade.members[:-1]:
                confidence = torch.cat([expert.run(b, cascade.context(b)).confidence for b in batches])
                thresholds.append(float(confidence.median()))
        old = cascade.policy.exit_thresholds
        cascade.policy = Policy(tuple(None if t is None else new for t, new in zip(old, thresholds, strict=True)))
        cascade.cost_range()
    return pair


POOLS: dict[str, Callable[[bool], Pair]] = {"classifiers": classifiers, "detectors": detectors, "exits": exits}


@pytest.fixture(params=[(name, gate) for name in POOLS for gate in (False, True)], ids=lambda p: f"{p[0]}-gate{p[1]}")
def pair(request: pytest.FixtureRequest) -> Pair:
    name, gate = request.param
    return POOLS[name](gate)


def answers(cascade: Cascade, batches: Sequence[Any]) -> list[Any]:
    """Everything that a cascade says of its batches, as tensors and names."""
    said: list[Any] = []
    with torch.inference_mode():
        for batch in batches:
            outputs, route = cascade.route(batch)
            parts = [route.expert, route.confidence, route.cost, route.ran]
            if isinstance(outputs, Tensor):
                said.append([outputs, *parts])
            else:
                said.append([found.names for found in outputs])
                said.append([part for found in outputs for part in (found.boxes, found.scores, found.labels)] + parts)
    return said


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, (list, tuple)) and not all(isinstance(part, str) for part in one):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def alone(pair: Pair) -> tuple[list[Any], list[Any]]:
    """What each of the two cascades says where no other one was made of its experts."""
    made = pair.fresh[0](), pair.fresh[1]()
    made[0].policy, made[1].policy = pair.first.policy, pair.second.policy
    made[0].cost_range(), made[1].cost_range()
    return answers(made[0], pair.batches[0]), answers(made[1], pair.batches[1])


def test_each_cascade_answers_as_alone(pair: Pair) -> None:
    wanted = alone(pair)
    for _ in range(2):
        assert same(answers(pair.second, pair.batches[1]), wanted[1])
        assert same(answers(pair.first, pair.batches[0]), wanted[0])
    for said in wanted:
        routes = [part[-4] for part in said if isinstance(part[-1], Tensor)]
        assert len(set(torch.cat(routes).tolist())) > 1, "every sample was answered by one expert"


def test_both_cascades_answer_as_alone_in_threads_at_once(pair: Pair) -> None:
    wanted, barrier = alone(pair), threading.Barrier(THREADS)
    # Costs that are not known are counted in the first batch: by several threads at once.
    for expert in {*pair.first.members, *pair.second.members}:
        if expert.example() is not None and expert.name not in pair.second.setup.needed:
            expert.cost = None

    def work(number: int) -> bool:
        cascade = (pair.first, pair.second)[number % 2]
        batches = pair.batches[number % 2]
        barrier.wait(60)
        return all(same(answers(cascade, batches), wanted[number % 2]) for _ in range(ROUNDS))

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(work, range(THREADS)))


def attributes(expert: Expert) -> dict[str, Any]:
    """All that an expert holds: its attributes, and identity and values of its modules and tensors."""
    plain = {key: value for key, value in vars(expert).items() if not key.startswith("_")}
    private = {key: dict(value) if isinstance(value, dict) else value for key, value in vars(expert).items()}
    tensors = {name: (id(value), value.clone()) for name, value in expert.state_dict(keep_vars=True).items()}
    modules = {name: (id(part), part.training) for name, part in expert.named_modules()}
    return {**private, **plain, " tensors": tensors, " modules": modules}


def unchanged(before: dict[str, Any], after: dict[str, Any]) -> bool:
    tensors, now = before.pop(" tensors"), after.pop(" tensors")
    equal = tensors.keys() == now.keys() and all(
        tensors[name][0] == now[name][0] and torch.equal(tensors[name][1], now[name][1]) for name in tensors
    )
    return equal and before == after


def test_another_cascade_changes_no_attribute_of_a_shared_expert(pair: Pair) -> None:
    for cascade in (pair.first, pair.second):
        before = [attributes(expert) for expert in cascade.members]
        if all(isinstance(expert, DetectorExpert) for expert in cascade.members):
            build_cascade(cascade.members, adapter="timm", exit_thresholds=[0.1], remap=dict(cascade.setup.remap))
            with pytest.raises(OrxeError):
                Cascade([*cascade.members, Colours("stranger", ("cow",))], Policy((0.5, 0.5)))
        else:
            Cascade([classifier(9, 64, 64), *cascade.members], Policy((None,) * len(cascade.members)))
            Cascade(cascade.members[:2], Policy((0.5,)), input_view=ImageView((24, 24), 24))
        for expert, was in zip(cascade.members, before, strict=True):
            assert unchanged(was, attributes(expert)), expert.name


def test_labels_of_a_cascade_that_was_built_before_are_set_in_the_cascade_alone() -> None:
    shared = Colours("shared", ("auto", "bird"))
    first, second = Cascade([shared], Policy(())), Cascade([shared], Policy(()))
    assert build_cascade(cascade=first, adapter="timm", names=("bird", "car"), remap={"auto": "car"}) is first
    assert first.answer_names == ("bird", "car")
    assert second.answer_names == shared.answer_names == ("auto", "bird")
    image = [torch.rand(3, 4, 4)]
    assert first.route(image)[0][0].labels.tolist() == [1, 0]
    assert second.route(image)[0][0].labels.tolist() == [0, 1]
    shared.remap = {"auto": "car"}
    shared.remap_to(("car", "bird"))
    assert first.route(image)[0][0].names == ("bird", "car")
    assert second.route(image)[0][0].names == ("auto", "bird")


def test_a_new_expert_stays_as_it_is_when_a_cascade_is_built() -> None:
    experts = [Expert(f"plain-{i}", nn.Sequential(nn.Linear(4, 3), nn.Dropout())) for i in range(2)]
    before = [attributes(expert) for expert in experts]
    Cascade(experts, Policy((0.5,)))
    assert all(unchanged(was, attributes(expert)) for was, expert in zip(before, experts, strict=True))


@pytest.mark.parametrize("name", ["classifiers", "detectors"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda cascade: pickle.loads(pickle.dumps(cascade))])
def test_a_copy_of_a_cascade_answers_as_it_does(name: str, copied: Callable[[Cascade], Cascade]) -> None:
    pair = POOLS[name](False)
    twin = copied(pair.first)
    assert twin.members[0] is not pair.first.members[0]
    assert set(twin.setup.labels) <= set(twin.members)
    assert same(answers(twin, pair.batches[0]), answers(pair.first, pair.batches[0]))


@pytest.mark.parametrize("name", ["classifiers", "exits"])
def test_a_trace_of_either_cascade_answers_as_its_routing(name: str) -> None:
    pair = POOLS[name](False)
    for cascade, batches in ((pair.second, pair.batches[1]), (pair.first, pair.batches[0])):
        with torch.inference_mode():
            routed = cascade(batches[0])
            cascade.dense = True
            torch.testing.assert_close(cascade(batches[0]), routed, rtol=1e-4, atol=1e-5)
            traced = torch.jit.trace(cascade, batches[1], check_trace=False)
            torch.testing.assert_close(traced(batches[0]), routed, rtol=1e-4, atol=1e-5)


def test_the_input_view_can_be_set_and_holds_from_the_next_batch_on() -> None:
    expert = classifier(0, 16, 16)
    first, second = Cascade([expert], Policy(())), Cascade([expert], Policy(()))
    view = ImageView((24, 24), 24)
    first.input_view = view
    batch = torch.randn(2, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(first(batch), expert.module(expert.view.from_tensor(batch, view)))
        own = torch.randn(2, 3, 16, 16)
        assert torch.equal(second(own), expert.module(own))
