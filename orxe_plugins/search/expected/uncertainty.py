"""Uncertainty: standard errors of what recorded or expected scores say of a policy.

An estimate errs for two reasons: the samples are a draw, and so are the labels that the regression was fitted on. The
influence of each sample on the estimate covers both: what it adds to the mean, and what it moves the weights by,
to first order (one Newton step), as if it were left out. That is the infinitesimal jackknife, with residuals
corrected by leverage, as few samples need (HC3; MacKinnon and White, 1985). Experts are often wrong on the
same samples; their influences are summed sample by sample, so that a drop against the last expert is paired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orxe_plugins.policies.policy import Policy
from orxe_plugins.records.records import Records
from orxe_plugins.search.expected.model import MAX_SAMPLES, ExpectedScores, fitting_samples
from orxe_plugins.search.expected.ridge import logistic
from orxe_plugins.search.replay import replay

#: a sample that a regression hangs on alone is not given more weight than this
_GREATEST_LEVERAGE = 0.99


@dataclass(frozen=True)
class Errors:
    """Standard errors of one policy's figures.

    Attributes:
        cost: of the mean cost.
        score: of the mean score.
        drop: of the last expert's mean score less the policy's, paired.
    """

    cost: float
    score: float
    drop: float


class Uncertainty:
    """Standard errors of policies' figures.

    Args:
        records: the fitting split, with the recorded scores.
        model: the regression that was fitted on them; None where the figures are means of recorded scores.
    """

    def __init__(self, records: Records, model: ExpectedScores | None) -> None:
        n = len(records)
        # Of very many samples, some show how much the others vary.
        part = fitting_samples(n, MAX_SAMPLES, seed=0) if model is None else model.fitted_on
        #: errors of means of recorded scores are those of all samples; those of a regression, of what it was fitted on
        self._share = (len(part) / n) ** 0.5 if model is None else 1.0
        self._records = records.samples(part)
        self._regression = None if model is None else _Regression(self._records, model)
        self._last = self._influence(np.full(len(part), records.n_experts - 1))

    def of(self, policy: Policy) -> Errors:
        """The errors of one policy."""
        outcome = replay(self._records, policy)
        own = self._influence(outcome.expert)
        cost = outcome.sample_cost.std() / len(own) ** 0.5
        return Errors(*(float(self._share * error) for error in (cost, _size(own), _size(self._last - own))))

    def _influence(self, expert: np.ndarray) -> np.ndarray:
        """Influence of each sample on the mean score where ``expert`` (M,) answers, (M,)."""
        score = self._records.score if self._regression is None else self._regression.expected
        answered = np.take_along_axis(score, expert[None], axis=0)[0].astype(np.float64)
        influence: np.ndarray = (answered - answered.mean()) / len(expert)
        return influence if self._regression is None else influence + self._regression.influence(expert)


class _Regression:
    """How the samples that a regression was fitted on move what it expects."""

    def __init__(self, records: Records, model: ExpectedScores) -> None:
        self._model = model
        self._x = model.features(records.confidence.astype(np.float64))  # (M, K)
        chance = logistic(model.weights @ self._x.T)  # (N, M)
        self.expected = model.low[:, None] + model.span[:, None] * chance
        #: what an expected score changes by with a change of the regression's linear part
        self._slope = model.span[:, None] * chance * (1 - chance)
        self._pull = self._pulls(chance, records.score)

    def influence(self, expert: np.ndarray) -> np.ndarray:
        """Influence of each sample, by the weights, on the mean expected score where ``expert`` (M,) answers."""
        influence = np.zeros(len(expert))
        for i in np.unique(expert):
            here = expert == i
            slope = self._slope[i, here] @ self._x[here] / len(expert)  # of the mean, by this expert's weights
            influence += self._x @ (self._model.inverse[i] @ slope) * self._pull[i]
        return influence

    def _pulls(self, chance: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Residuals over 1 - leverage: the pull of each sample on each expert's regression, (N, M)."""
        model = self._model
        pull = np.zeros_like(chance)
        for i in np.flatnonzero(model.span > 0):
            target = (score[i] - model.low[i]) / model.span[i]
            leverage = ((self._x @ model.inverse[i]) * self._x).sum(axis=1) * chance[i] * (1 - chance[i])
            pull[i] = (target - chance[i]) / (1 - np.minimum(leverage, _GREATEST_LEVERAGE))
        return pull


def _size(influence: np.ndarray) -> float:
    return float(np.sqrt((influence**2).sum()))
