"""What a policy and its experts' costs come to before the first sample is routed: made once, and never changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.cost.sharing import positions_of, ran_for_others
from orxe_plugins.experts.expert import Expert
from orxe_plugins.policies.policy import Policy


class Stage(NamedTuple):
    """One expert that samples may enter.

    Attributes:
        expert: its index.
        exit: samples of at least this confidence are answered by it; None: all that enter it are, for it is the last.
        skip: samples of less confidence so far do not enter it.
    """

    expert: int
    exit: float | None
    skip: float


@lru_cache(maxsize=1024)
def stages_of(policy: Policy) -> tuple[Stage, ...]:
    """The enabled experts of a policy, in routing order."""
    last = policy.n_experts - 1
    stages = []
    for place, i in enumerate(policy.enabled):
        # All samples enter the first one, and all that are left the last one.
        skip = 0.0 if i == last or place == 0 else policy.skip_thresholds[i]
        stages.append(Stage(i, None if i == last else policy.exit_thresholds[i], skip))
    return tuple(stages)


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of N experts, on the device that samples are routed on.

    Attributes:
        own: cost of each expert, float64 (N,); NaN where it is not known.
        shared: cost of the backbone up to each of them, float64 (N,); None where none of them shares one.
        needs: position of the expert whose answer each of them builds on; -1 for none.
    """

    own: Tensor
    shared: Tensor | None
    needs: tuple[int, ...]

    @staticmethod
    def of_experts(experts: Sequence[Expert], device: torch.device) -> Costs:
        """The costs as they are known now, placed on a device once for all batches."""
        return _placed(*_figures(experts), device)

    @staticmethod
    def made_of(experts: Sequence[Expert], device: torch.device) -> Costs:
        """The costs as they are known now, made anew."""
        return _make(*_figures(experts), device)

    def of(self, ran: Tensor, expert: Tensor) -> Tensor:
        """Cost of B samples, float64 (B,), given who ran on them, bool (B, N), and who answered, int64 (B,)."""
        # Selecting, not multiplying: the unknown cost of a disabled expert must not turn the sum into NaN.
        cost = torch.where(ran, self.own, 0.0).sum(dim=1)  # (B,)
        if self.shared is not None:
            cost = cost + self.shared[expert]
        for i, alone in ran_for_others(ran, self.needs):
            cost = cost + torch.where(alone, self.own[i], 0.0)
        return cost


def _figures(experts: Sequence[Expert]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]]:
    # One NaN for all, since two of them are no equal keys.
    own = tuple(math.nan if expert.cost is None else float(expert.cost) for expert in experts)
    shared = tuple(float(expert.shared_cost) for expert in experts)
    return own, shared, positions_of([expert.name for expert in experts], [expert.needs for expert in experts])


def _make(own: tuple[float, ...], shared: tuple[float, ...], needs: tuple[int, ...], device: torch.device) -> Costs:
    common = torch.tensor(shared, dtype=torch.float64, device=device) if any(shared) else None
    return Costs(torch.tensor(own, dtype=torch.float64, device=device), common, needs)


@lru_cache(maxsize=1024)
def _placed(own: tuple[float, ...], shared: tuple[float, ...], needs: tuple[int, ...], device: torch.device) -> Costs:
    # What is kept must be of use outside of inference mode too.
    with torch.inference_mode(False):
        return _make(own, shared, needs, device)


def host_cost(experts: Sequence[Expert], ran: np.ndarray, expert: np.ndarray) -> np.ndarray:
    """Cost of K samples, float64 (K,), given who ran on them, bool (K, N), and who answered, int64 (K,); -1: nobody."""
    own, shared, needs = _figures(experts)
    cost = np.where(ran, np.array(own), 0.0).sum(axis=1)
    # What nobody answered has gone through the backbone as far as the last expert that it was handed to.
    last = np.where(expert >= 0, expert, len(own) - 1 - np.argmax(ran[:, ::-1], axis=1))
    cost = cost + np.where(ran.any(axis=1), np.array(shared)[last], 0.0)
    for i, alone in ran_for_others(ran, needs):
        cost = cost + np.where(alone, own[i], 0.0)
    return cost
