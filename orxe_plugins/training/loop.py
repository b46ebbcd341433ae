"""A short training loop, for recipes that make their own experts and for ranking gates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.progress import Progress, Silent

#: from the outputs of a batch and its targets to the loss, a tensor of one number
Loss = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: AdamW, one rise and a cosine fall of the learning rate.

    Attributes:
        epochs: passes over the samples.
        batch_size: samples per step.
        lr: the greatest learning rate.
        weight_decay: of AdamW.
        seed: of the order of samples and of random augmentation.
        warmup: share of the steps in which the learning rate rises.
        threads: how many to compute with. The last digits of sums depend on it, and after some epochs all weights
            do: with as many threads as there are cores, every machine would end with other weights.
        label: what is trained, for the progress bar and for errors.
    """

    epochs: int
    batch_size: int = 32
    lr: float = 3e-3
    weight_decay: float = 0.02
    seed: int = 0
    warmup: float = 0.3
    threads: int = 1
    label: str = "training"


def train(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss,
    schedule: Schedule,
    *,
    augment: Callable[[Tensor], Tensor] | None = None,
    progress: Progress | None = None,
    **deprecated: str,
) -> nn.Module:
    """Train ``module`` in place; the same seed gives the same weights on the same kind of processor.

    Args:
        module: maps a batch of ``inputs`` to what ``loss`` takes.
        inputs: (M, ...), all samples.
        targets: (M, ...), aligned.
        loss: ``loss(outputs, targets)`` for one batch, a scalar.
        schedule: epochs, batch size and learning rate.
        augment: changes a batch of inputs.
        progress: receives every step.
        **deprecated: ``label``, which belongs to the schedule now; it warns.

    Returns:
        The module, in evaluation mode.

    Raises:
        OrxeError: there are fewer samples than two, or the loss is no longer finite.
    """
    schedule = _with_label(schedule, deprecated)
    label = schedule.label
    if len(inputs) < 2:
        raise OrxeError(f"{label}: {len(inputs)} samples to train on: expected two or more")
    torch.manual_seed(schedule.seed)
    batch = min(schedule.batch_size, len(inputs))
    per_epoch = len(inputs) // batch  # a last batch of one sample would break batch norm: it is left out
    steps = per_epoch * schedule.epochs
    optimiser = torch.optim.AdamW(module.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.lr, total_steps=steps + 1, pct_start=schedule.warmup
    )
    bar = progress or Silent()
    bar.start(steps, label)

    def loss_of(rows: Tensor) -> Tensor:
        seen = inputs[rows] if augment is None else augment(inputs[rows])
        return loss(module(seen), targets[rows])

    def batches() -> Iterator[Tensor]:
        for rows in torch.randperm(len(inputs))[: per_epoch * batch].split(batch):
            yield rows
            bar.advance(1)

    trainer = Trainer(module, optimiser, rates, schedule.lr, label)
    with fixed_threads(schedule.threads):
        for _ in range(schedule.epochs):
            trainer.epoch(batches(), loss_of)
    return module.eval()


def _with_label(schedule: Schedule, deprecated: dict[str, str]) -> Schedule:
    """The schedule with the label of ``train(..., label=)``, as version 0.1 took it."""
    if unknown := set(deprecated) - {"label"}:
        raise TypeError(f"train() got an unexpected argument {sorted(unknown)[0]!r}")
    if not deprecated:
        return schedule
    warnings.warn(
        "train(..., label=) is deprecated and goes in version 0.3: write Schedule(..., label=)",
        DeprecationWarning,
        stacklevel=3,
    )
    return replace(schedule, **deprecated)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Trainer:
    """The inner loop that all trainings here share.

    Attributes:
        module: what is trained.
        optimiser: updates the module's parameters.
        rates: updates the optimiser's learning rate.
        lr: the greatest learning rate.
        label: what is trained, for the error message.
    """

    module: nn.Module
    optimiser: torch.optim.Optimizer
    rates: torch.optim.lr_scheduler.LRScheduler
    lr: float
    label: str

    def epoch(self, batches: Iterable[Tensor], loss_of: Callable[[Tensor], Tensor]) -> None:
        """One pass over the samples: a step of the optimiser and of the learning rate for each batch.

        Args:
            batches: positions of the samples of each batch, int64 of shape (B,).
            loss_of: the loss of the samples at such positions, a scalar.

        Raises:
            OrxeError: a loss is not finite.
        """
        self.module.train()
        for rows in batches:
            value = loss_of(rows)
            if not torch.isfinite(value):
                raise OrxeError(f"{self.label}: the loss is {value.item()}: lower lr, which is {self.lr:g}")
            self.optimiser.zero_grad()
            value.backward()
            self.optimiser.step()
            self.rates.step()


@contextmanager
def fixed_threads(count: int) -> Iterator[None]:
    """Have torch compute with so many threads inside a ``with`` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
