"""Uncertainty: standard errors of what expected scores say of a policy.

An estimate errs for two reasons: the samples are a draw, and so are the labels that the regression was fitted on. The
influence of each sample on the estimate covers both: what it adds to the mean, and what it moves the weights by,
to first order (one Newton step), as if it were left out. That is the infinitesimal jackknife, with residuals
corrected by leverage, as few samples need (HC3; MacKinnon and White, 1985). Experts are often wrong on the
same samples; their influences are summed sample by sample, so that a drop against the last expert is paired.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from orxe_plugins.policies.policy import Policy
from orxe_plugins.records import Records
from orxe_plugins.search.expected.model import ExpectedScores
from orxe_plugins.search.expected.ridge import logistic
from orxe_plugins.search.replay import replay

#: a sample that a regression hangs on alone is not given more weight than this
_GREATEST_LEVERAGE = 0.99


@dataclass(frozen=True)
class Errors:
    """Standard errors of one policy's figures.

    Attributes:
        cost: of the mean cost.
        score: of the mean expected score.
        drop: of the last expert's mean expected score less the policy's, paired.
    """

    cost: float
    score: float
    drop: float


class Uncertainty:
    """Standard errors of policies' expected figures.

    Args:
        records: what ``model`` was fitted on, with the recorded scores.
        model: the regression. Errors are those of the samples that it was fitted on, also where there are more.
    """

    def __init__(self, records: Records, model: ExpectedScores) -> None:
        self._records = records.samples(model.fitted_on)
        self._x = model.features(self._records.confidence.astype(np.float64))  # (M, K)
        self._model = model
        chance = logistic(model.weights @ self._x.T)  # (N, M)
        self._expected = model.low[:, None] + model.span[:, None] * chance
        #: what an expected score changes by with a change of the regression's linear part
        self._slope = model.span[:, None] * chance * (1 - chance)
        self._pull = self._pulls(chance)
        self._last = self._influence(np.full(len(self._x), len(chance) - 1))

    def of(self, policy: Policy) -> Errors:
        """The errors of one policy."""
        outcome = replay(self._records, policy)
        own = self._influence(outcome.expert)
        n = len(own)
        return Errors(float(outcome.sample_cost.std() / n**0.5), _size(own), _size(self._last - own))

    def of_all(self, policies: Iterable[Policy]) -> list[Errors]:
        """The errors of several policies; those of equal ones are computed once."""
        wanted = list(policies)
        known = {policy: self.of(policy) for policy in dict.fromkeys(wanted)}
        return [known[policy] for policy in wanted]

    def _pulls(self, chance: np.ndarray) -> np.ndarray:
        """Residuals over 1 - leverage: the pull of each sample on each expert's regression, (N, M)."""
        model, score = self._model, self._records.score
        pull = np.zeros_like(chance)
        for i in np.flatnonzero(model.span > 0):
            target = (score[i] - model.low[i]) / model.span[i]
            leverage = ((self._x @ model.inverse[i]) * self._x).sum(axis=1) * chance[i] * (1 - chance[i])
            pull[i] = (target - chance[i]) / (1 - np.minimum(leverage, _GREATEST_LEVERAGE))
        return pull

    def _influence(self, expert: np.ndarray) -> np.ndarray:
        """Influence of each sample on the mean expected score where ``expert`` (M,) answers, (M,)."""
        n = len(expert)
        expected = np.take_along_axis(self._expected, expert[None], axis=0)[0]
        influence = (expected - expected.mean()) / n
        for i in np.unique(expert):
            here = expert == i
            slope = self._slope[i, here] @ self._x[here] / n  # of the mean, by this expert's weights
            influence += self._x @ (self._model.inverse[i] @ slope) * self._pull[i]
        return influence


def _size(influence: np.ndarray) -> float:
    return float(np.sqrt((influence**2).sum()))
