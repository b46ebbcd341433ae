"""The statistical test behind a promise: does the mean score drop by more than max_drop? Valid for any sample size."""

from __future__ import annotations

import numpy as np

NAME = "betting test of Waudby-Smith and Ramdas"
#: no bet risks more than this share of the capital on one sample
MOST = 0.75


def p_value(drop: np.ndarray, max_drop: float, level: float, greatest: float = 1.0) -> float:
    """P-value of "the true mean drop is at least ``max_drop``"; a small one speaks for the policy.

    A gambler bets on every sample that it drops by less than ``max_drop``, and fixes each stake before the
    sample is seen. If the hypothesis holds, the expected capital never grows, so that the capital ever reaches
    1/u with a probability of at most u (Ville's inequality): the p-value is valid in finite samples,
    for every distribution on [-1, 1] and so for 0/1 scores too, where a drop is -1, 0 or 1.
    Source of the stakes: Waudby-Smith and Ramdas, JRSS B 2024, section 3.3 (predictable plug-in).

    An exact unconditional test of losses minus gains (Berger and Boos) was tried beside it on simulated 0/1
    scores: it passed policies without any drop less often up to 5,000 samples, and hardly more often at 25,000.

    Args:
        drop: per-sample score of the last expert minus that of the policy, (M,), in random order.
        max_drop: allowed drop.
        level: the level for which the stakes are best; the p-value is valid whatever it is.
        greatest: what a drop can be at most. It may be less than -1: only great drops can ruin the gambler.
    """
    x, null = (drop + 1) / (greatest + 1), (max_drop + 1) / (greatest + 1)  # at most 1
    count = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (count + 1)
    before = np.append(0.25, variance[:-1])  # a stake must not depend on its own sample
    stake = np.minimum(np.sqrt(2 * np.log(1 / level) / (before * len(x))), MOST / (1 - null))
    capital = np.cumsum(np.log1p(stake * (null - x)))
    return float(min(1.0, np.exp(-capital.max())))
