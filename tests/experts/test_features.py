"""Features caught on their way: pooled, in the batch's order, and only by who asked for them."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from orxe_plugins import OrxeError
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
def test_both_sides_of_a_layer_can_be_watched(path: str, side: str, plus: int) -> None:
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
            tap.looks_at(rows)
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


def test_another_thread_in_the_same_model_is_not_heard() -> None:
    net = Net()
    with FeatureTap(net, "body", "output") as tap:
        other = threading.Thread(target=net, args=(torch.full((3, 2), 9.0),))
        other.start()
        other.join()
        net(torch.zeros(2, 2))
        torch.testing.assert_close(tap.features(2), torch.zeros(2, 2))


def test_an_expert_is_watched_only_where_that_is_asked_for() -> None:
    expert = Expert("net", Net(), cost=1.0)
    expert.feature_layer = FeatureLayer("body")
    with expert.watched() as tap:
        assert tap is None  # max softmax needs no features
        expert.looks_at([0])  # nobody hears it
    with expert.watched(always=True) as tap:
        expert.run(torch.ones(2, 2))
        assert tap is not None
        torch.testing.assert_close(tap.features(2), torch.ones(2, 2))
    assert not expert.module.body._forward_hooks  # type: ignore[union-attr]
