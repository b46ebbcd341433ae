"""Train a ranking gate on recorded features: minutes on a CPU, the expert stays frozen."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.confidence.gate import GateNet, ranking_loss
from orxe_plugins.errors import OrxeError
from orxe_plugins.training.loop import Trainer, fixed_threads
from orxe_plugins.util.progress import Progress, Silent

#: a gate costs at most this share of its expert's MACs, unless its width is given
_MAX_SHARE = 0.01
_WIDTHS = (1, 64)
#: inputs (M, D) and scores (M,)
_Samples: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class GateSettings:
    """How ranking gates are trained: AdamW, cosine, early stopping.

    Attributes:
        hidden: width of the hidden layer; None takes the widest of at most 64 that costs at most 1 %
            of the expert.
        epochs: passes over the samples at most.
        batch_size: samples per step; every step compares all pairs of them.
        lr, weight_decay: of AdamW.
        hold_out: share of the samples that decide when training stops; nothing else is learnt from them.
        patience: epochs without a better loss on those samples, before training stops.
        seed: of everything random.
    """

    hidden: int | None = None
    epochs: int = 60
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 1e-2
    hold_out: float = 0.2
    patience: int = 10
    seed: int = 0


def fit_gate(
    inputs: np.ndarray,
    score: np.ndarray,
    expert_gmacs: float,
    settings: GateSettings,
    progress: Progress | None = None,
    label: str = "training a gate",
) -> GateNet:
    """The gate that best ranks an expert's answers (ORXE supplement, Eq. 18 and 19).

    The same seed gives the same gate, whatever was computed before.

    Args:
        inputs: features and output summary, (M, D).
        score: how good the expert's answer is, (M,), higher is better.
        expert_gmacs: cost of the expert, which bounds the gate's.
        settings: how to train.
        progress: receives every epoch.
        label: what the progress bar is called.

    Raises:
        OrxeError: there are too few samples, or all have one score, so that nothing can be ranked.
    """
    if len(inputs) < 20 or np.ptp(score) == 0:
        raise OrxeError(
            f"{label}: {len(inputs)} samples with scores from {np.min(score, initial=np.inf):g} to "
            f"{np.max(score, initial=-np.inf):g}: expected 20 or more that differ, to learn a ranking from"
        )
    # One thread: sums, and with them the gate, would depend on how many there are.
    with torch.random.fork_rng(devices=[]), fixed_threads(1):
        torch.manual_seed(settings.seed)
        x, y = torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(score.astype(np.float32))
        order = torch.randperm(len(x))
        n_held = max(8, round(settings.hold_out * len(x)))
        held, rest = order[:n_held], order[n_held:]
        net = GateNet(x.shape[1], settings.hidden or _width(x.shape[1], expert_gmacs))
        net.standardise_as(x[rest])
        return _train(net, (x[rest], y[rest]), (x[held], y[held]), settings, progress or Silent(), label)


def _train(
    net: GateNet, samples: _Samples, held: _Samples, settings: GateSettings, bar: Progress, label: str
) -> GateNet:
    """Train on the samples until the loss on the held-out ones no longer falls; the best epoch's gate is kept."""
    x, y = samples
    batch = min(settings.batch_size, len(x))
    steps = settings.epochs * math.ceil(len(x) / batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    trainer = Trainer(net, optimiser, rates, settings.lr, label)

    def loss_of(rows: Tensor) -> Tensor:
        return ranking_loss(net(x[rows]), y[rows])

    def batches() -> Iterator[Tensor]:
        for rows in torch.randperm(len(x)).split(batch):
            if len(rows) > 1:
                yield rows
            else:
                rates.step()  # one sample has no pair to compare

    best, best_loss, waited = copy.deepcopy(net), math.inf, 0
    bar.start(settings.epochs, label)
    for _ in range(settings.epochs):
        trainer.epoch(batches(), loss_of)
        bar.advance(1)
        now = _loss(net, *held)
        waited = 0 if now < best_loss else waited + 1
        if now < best_loss:
            best, best_loss = copy.deepcopy(net), now
        if waited >= settings.patience:
            break
    return best.eval()


@torch.no_grad()
def _loss(net: GateNet, x: Tensor, y: Tensor) -> float:
    """Loss on held-out samples, at most 2000 of them: pairs grow with the square."""
    net.eval()
    return float(ranking_loss(net(x[:2000]), y[:2000]))


def _width(inputs: int, expert_gmacs: float) -> int:
    affordable = int(_MAX_SHARE * expert_gmacs * 1e9 / (inputs + 1))
    return min(max(affordable, _WIDTHS[0]), _WIDTHS[1])
