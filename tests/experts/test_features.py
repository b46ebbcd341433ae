"""Features caught on their way: pooled, in the batch's order, and only where they are asked for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from orxe_plugins import OrxeError
from orxe_plugins.data.batch import rows_by
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Expert, FeatureLayer
from orxe_plugins.experts.features import FeatureTap, pool


def test_features_are_means_over_positions() -> None:
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(pool(x), x.mean((2, 3)))
    tokens = torch.randn(2, 7, 3)
    torch.testing.assert_close(pool(tokens), tokens.mean(1))
    flat = torch.randn(2, 3, dtype=torch.float64)
    assert pool(flat).dtype == torch.float32
    torch.testing.assert_close(pool((x, flat)), flat.float())
    torch.testing.assert_close(pool({"0": flat, "pool": x}), x.mean((2, 3)))
    for wrong in (None, [], "text", 3):
        with pytest.raises(OrxeError, match="expected a tensor"):
            pool(wrong)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Identity()
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x) + 1)


@pytest.mark.parametrize(("path", "side", "plus"), [("body", "output", 0), ("head", "input", 1), ("body", "input", 0)])
def test_both_sides_of_a_layer_can_be_tapped(path: str, side: str, plus: int) -> None:
    net, x = Net(), torch.randn(4, 2)
    with FeatureTap(net, path, side) as tap:
        net(x)
        torch.testing.assert_close(tap.features(4), x + plus)
    net(x)
    torch.testing.assert_close(tap.features(4), x + plus)  # nothing is caught any more


def test_parts_of_a_batch_come_back_in_its_order() -> None:
    net, x = Net(), torch.randn(5, 2)
    with FeatureTap(net, "body", "output") as tap:
        for rows in ([3, 0], [4], [1, 2]):
            tap.next_call_on(rows)
            net(x[rows])
        torch.testing.assert_close(tap.features(5), x)


def test_a_layer_that_not_every_sample_passes_is_refused() -> None:
    net = Net()
    with FeatureTap(net, "body", "output") as tap:
        net(torch.zeros(2, 2))
        with pytest.raises(OrxeError, match="2 of 3 samples passed the layer"):
            tap.features(3)
    with FeatureTap(net, "body", "output") as tap, pytest.raises(OrxeError, match="0 of 1 samples passed"):
        tap.features(1)


def test_another_thread_in_the_same_model_is_not_caught() -> None:
    net = Net()
    with FeatureTap(net, "body", "output") as tap:
        other = threading.Thread(target=net, args=(torch.full((3, 2), 9.0),))
        other.start()
        other.join()
        net(torch.zeros(2, 2))
        torch.testing.assert_close(tap.features(2), torch.zeros(2, 2))


def test_an_expert_is_tapped_only_where_that_is_asked_for() -> None:
    expert = Expert("net", Net(), cost=1.0)
    expert.feature_layer = FeatureLayer("body")
    context = BatchContext(2)
    with expert.tap_features(context) as tap:
        assert tap is None  # max softmax needs no features
        context.next_call_on(expert, [0])  # changes nothing
    with expert.tap_features(context, always=True) as tap:
        expert.run(torch.ones(2, 2), context)
        assert tap is not None
        torch.testing.assert_close(tap.features(2), torch.ones(2, 2))
        with expert.tap_features(context) as same:
            assert same is tap
    assert not context.taps
    assert not expert.module.body._forward_hooks  # type: ignore[union-attr]


class Grouped(Expert):
    """Calls its module once for each value of the first column, as detectors do for each size of image."""

    def forward(self, batch: Tensor, context: BatchContext | None = None) -> Tensor:
        outputs = torch.zeros(len(batch), 3)
        for rows in rows_by(batch[:, 0].tolist()):
            if context is not None:
                context.next_call_on(self, rows)
            outputs[rows] = self.module(batch[rows])
        return outputs


class Careless(Grouped):
    """Overrides a forward that hands the context on by one that does not."""

    def forward(self, batch: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(batch)


def test_features_of_groups_come_back_in_the_batchs_order_or_not_at_all() -> None:
    batch = torch.tensor([[0.0, 1], [5, 2], [0, 3]])
    expert = Grouped("grouped", Net(), cost=1.0)
    expert.feature_layer = FeatureLayer("body")
    torch.testing.assert_close(expert.outputs_and_features(batch)["features"], batch)
    careless = Careless("careless", Net(), cost=1.0)
    careless.feature_layer = FeatureLayer("body")
    torch.testing.assert_close(careless.outputs_and_features(batch[::2])["features"], batch[::2])
    with pytest.raises(OrxeError, match="hand the context on"):
        careless.outputs_and_features(batch)


def test_threads_that_tap_one_module_at_once_do_not_disturb_each_other() -> None:
    expert = Expert("net", Net(), cost=1.0)
    expert.feature_layer = FeatureLayer("body")
    barrier = threading.Barrier(8)

    def work(number: int) -> bool:
        barrier.wait()
        batches = [torch.full((1 + number, 2), float(number * 100 + i)) for i in range(50)]
        return all(torch.equal(expert.outputs_and_features(batch)["features"], batch) for batch in batches)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert not expert.module.body._forward_hooks  # type: ignore[union-attr]
