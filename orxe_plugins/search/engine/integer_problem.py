"""What the kernels work on: one preference's problem in whole numbers, and memory to work in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class IntegerProblem(NamedTuple):
    """What is minimised, in whole ticks, for N experts and M samples.

    Attributes:
        rank: uint16 (N, M), the confidences on one grid that all experts share.
        loss: uint8 or float64 (N, M), 1 - score; an answer adds ``loss_weight`` times this.
        run_cost: int64 (N,), cost of running each expert.
        shared_cost: int64 (N,), what a sample that each expert answers pays beside that.
        loss_weight: ticks of a loss of 1: an int where losses are, as whole numbers are multiplied faster.
        exit_penalty: penalty for each enabled expert but the last, over all samples.
        skip_penalty: penalty for each skip threshold in use, over all samples. Pair moves do not look at it.
        n_cuts: number of bins G of the ranks.
        allowed: bool (N,), disabled experts that may be enabled.
        top_allowed: bool (N,), experts for which a threshold can say "enabled, but no sample exits".
        min_exits: fewest samples that an enabled expert must answer.
    """

    rank: np.ndarray
    loss: np.ndarray
    run_cost: np.ndarray
    shared_cost: np.ndarray
    loss_weight: float | int
    exit_penalty: int
    skip_penalty: int
    n_cuts: int
    allowed: np.ndarray
    top_allowed: np.ndarray
    min_exits: int


class Workspace(NamedTuple):
    """Memory that the kernels work in; only ``value`` and ``following`` keep their content after a call.

    Attributes:
        value: int64 (N, M), the cost to go: what a sample adds to the objective from running an enabled expert on.
        following: uint8 (N, G), ``following[k, r]`` is the expert that a sample of rank r runs next,
            among the enabled ones from the k-th on.
        hist: int64 (G + 1,), changes of the objective by rank.
        counts: int64 (G + 1,), samples by rank, where ``min_exits`` needs them.
        pending: int32 (M,), samples that no expert has answered yet.
        current: uint16 (M,), beside ``pending``: the rank that the last expert gave them.
    """

    value: np.ndarray
    following: np.ndarray
    hist: np.ndarray
    counts: np.ndarray
    pending: np.ndarray
    current: np.ndarray


def new_workspace(n_experts: int, n_samples: int, n_cuts: int) -> Workspace:
    """Memory for kernels on N experts, M samples and G bins."""
    return Workspace(
        np.empty((n_experts, n_samples), dtype=np.int64),
        np.empty((n_experts, n_cuts), dtype=np.uint8),
        np.empty(n_cuts + 1, dtype=np.int64),
        np.empty(n_cuts + 1, dtype=np.int64),
        np.empty(n_samples, dtype=np.int32),
        np.empty(n_samples, dtype=np.uint16),
    )
