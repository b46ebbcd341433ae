"""The short training loop: what it learns, and that it learns the same everywhere."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from orxe_plugins import OrxeError
from orxe_plugins.training.loop import Schedule, fixed_threads, train


def data() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    targets = torch.arange(512) % 2
    return torch.randn(512, 3, 12, 12) + 0.3 * targets.view(-1, 1, 1, 1), targets


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(512, 2))


def test_it_learns_and_ends_in_evaluation_mode() -> None:
    inputs, targets = data()
    module = train(net(), inputs, targets, cross_entropy, Schedule(epochs=4))
    assert not module.training
    with torch.no_grad():
        assert (module(inputs).argmax(1) == targets).float().mean() > 0.9


def test_the_weights_do_not_depend_on_the_number_of_threads() -> None:
    inputs, targets = data()
    found = []
    for threads in (1, 4):
        with fixed_threads(threads):
            found.append(train(net(), inputs, targets, cross_entropy, Schedule(epochs=2)).state_dict())
            assert torch.get_num_threads() == threads  # what it was before
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


def test_a_loss_that_runs_away_is_named_and_the_threads_come_back() -> None:
    inputs, targets = data()
    before = torch.get_num_threads()
    with pytest.raises(OrxeError, match="training: the loss is nan: lower lr, which is 0.003"):
        train(net(), inputs * torch.nan, targets, cross_entropy, Schedule(epochs=1))
    assert torch.get_num_threads() == before


def test_one_sample_is_too_few() -> None:
    inputs, targets = data()
    with pytest.raises(OrxeError, match="1 samples to train on: expected two or more"):
        train(net(), inputs[:1], targets[:1], cross_entropy, Schedule(epochs=1))
