"""Training a ranking gate: it learns a ranking that is there, the same one every time, within its budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from orxe_plugins import OrxeError
from orxe_plugins.confidence.gate import GateNet
from orxe_plugins.training.gate import GateSettings, fit_gate

FAST = GateSettings(epochs=12, batch_size=128, lr=1e-2)


def ranked(m: int = 600, d: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of which three columns tell how good an answer is, in units far apart, and a score."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(m, d))
    score = inputs[:, 0] + inputs[:, 1] - np.abs(inputs[:, 2]) + rng.normal(0, 0.3, m)
    return (inputs * np.logspace(-3, 3, d) + 50).astype(np.float32), score


@torch.inference_mode()
def tau(net: GateNet, inputs: np.ndarray, score: np.ndarray) -> float:
    return float(kendalltau(net(torch.from_numpy(inputs)).numpy(), score).statistic)


def same(a: GateNet, b: GateNet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_ranking_that_is_there_is_learnt_for_new_samples() -> None:
    inputs, score = ranked()
    net = fit_gate(inputs, score, 1.0, FAST)
    assert not net.training
    assert tau(net, *ranked(seed=1)) > 0.4


def test_a_ranking_that_is_not_there_is_not_made_up() -> None:
    inputs, score = ranked()
    net = fit_gate(inputs, np.random.default_rng(5).permutation(score), 1.0, FAST)
    assert abs(tau(net, *ranked(seed=1))) < 0.12


def test_only_the_order_of_the_scores_counts() -> None:
    inputs, score = ranked(200)
    assert same(fit_gate(inputs, score, 1.0, FAST), fit_gate(inputs, np.exp(score), 1.0, FAST))


def test_one_seed_gives_one_gate_whatever_was_computed_before() -> None:
    inputs, score = ranked(200)
    first = fit_gate(inputs, score, 1.0, FAST)
    torch.rand(17)
    state = torch.get_rng_state()
    assert same(first, fit_gate(inputs, score, 1.0, FAST))
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers have moved"
    assert not same(first, fit_gate(inputs, score, 1.0, replace(FAST, seed=1)))


class Epochs:
    """Counts what a progress bar is told."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def start(self, total: int, label: str, done: int = 0) -> None:
        self.total += total

    def advance(self, n: int) -> None:
        self.done += n


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    inputs, score = ranked(120, d=200)
    noise = np.random.default_rng(5).permutation(score)
    bar = Epochs()
    settings = GateSettings(epochs=100, patience=3, lr=2e-2)
    net = fit_gate(inputs, noise, 1.0, settings, bar)
    assert bar.total == 100
    assert bar.done < 40
    # What came after the best epoch left no mark: another patience, the same gate.
    assert same(net, fit_gate(inputs, noise, 1.0, replace(settings, patience=5)))


@pytest.mark.parametrize(
    ("gmacs", "inputs", "hidden"),
    [
        (1.0, 100, 64),  # a large expert: no wider than 64
        (1e-3, 511, 19),  # at most 1 % of the MACs: 0.01 * 1e6 / 512
        (1e-5, 99, 1),  # a tiny one still gets a gate, of one hidden unit
    ],
)
def test_the_width_follows_the_experts_cost(gmacs: float, inputs: int, hidden: int) -> None:
    rng = np.random.default_rng(0)
    x, score = rng.normal(size=(40, inputs)).astype(np.float32), rng.normal(size=40)
    net = fit_gate(x, score, gmacs, GateSettings(epochs=1))
    assert net.hidden.out_features == hidden
    assert net.macs == inputs * hidden + hidden
    assert fit_gate(x, score, gmacs, GateSettings(epochs=1, hidden=7)).hidden.out_features == 7


def test_inputs_that_never_vary_do_no_harm() -> None:
    inputs, score = ranked(200)
    inputs[:, -1] = 3.0
    net = fit_gate(inputs, score, 1.0, FAST)
    inputs[:, -1] = 3.0001
    assert torch.isfinite(net(torch.from_numpy(inputs))).all()


def test_too_few_samples_or_equal_scores_are_refused() -> None:
    inputs, score = ranked(40)
    with pytest.raises(OrxeError, match="gate of small: 19 samples with scores .* expected 20 or more that differ"):
        fit_gate(inputs[:19], score[:19], 1.0, FAST, label="gate of small")
    with pytest.raises(OrxeError, match="40 samples with scores from 1 to 1"):
        fit_gate(inputs, np.ones(40), 1.0, FAST)
