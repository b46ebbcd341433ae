"""Control variates: drops with less variance and the same mean, from what a regression expects without labels.

Of each sample of the choosing split, what its drop is expected to be is taken off, and the mean that is expected of
some unlabelled samples is added. Every sample has unlabelled ones of its own, so that the corrected drops are drawn
independently of each other, and their mean is the true drop whatever the regression is worth: the test stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.policy import Policy
from orxe_plugins.records.records import Records
from orxe_plugins.search.expected.model import ExpectedScores
from orxe_plugins.search.replay import replay


@dataclass(frozen=True, eq=False)
class Controls:
    """Unlabelled samples, and what expects drops on them.

    Attributes:
        unlabelled: samples of the same kind; their scores are not looked at.
        fitted_on: the fitting split, with the recorded scores.
        model: expects scores; fitted on it.
    """

    unlabelled: Records
    fitted_on: Records
    model: ExpectedScores

    @classmethod
    def of(cls, unlabelled: Records, fitted_on: Records, seed: int = 0) -> Controls:
        """Controls by the regression of a fitting split.

        Args:
            unlabelled: samples that are in neither split.
            fitted_on: the fitting split.
            seed: of the order in which unlabelled samples are handed out: folders have them sorted by class.

        Raises:
            OrxeError: the two are of different experts, or one of them is empty.
        """
        if unlabelled.names != fitted_on.names:
            raise OrxeError(
                f"the unlabelled samples are of the experts {', '.join(unlabelled.names)}, the fitting split of "
                f"{', '.join(fitted_on.names)}: record both with the same ones"
            )
        if not len(unlabelled):
            raise OrxeError("there are no unlabelled samples: leave them out")
        order = np.random.default_rng(seed).permutation(len(unlabelled))
        return cls(unlabelled.samples(order), fitted_on, ExpectedScores.fit(fitted_on))

    def corrected(self, policy: Policy, records: Records, drop: np.ndarray) -> tuple[np.ndarray, float]:
        """Corrected drops (M,) of a policy, and the greatest that one of them can be.

        Args:
            policy: the policy.
            records: M samples of the choosing split.
            drop: their drops, (M,).
        """
        of_fit, of_others = self._expected(policy, self.fitted_on), self._expected(policy, self.unlabelled)
        # What the test may count on is fixed by the fitting split, before the choosing split is looked at.
        low, high = float(of_fit.min()), float(of_fit.max())
        each = len(self.unlabelled) // len(records)
        if each < 1 or high - low < 1e-9:
            return drop.astype(np.float64), 1.0
        weight = self._weight(policy, of_fit, each)
        expected = np.clip(self._expected(policy, records), low, high)
        others = np.clip(of_others, low, high)[: each * len(records)].reshape(len(records), each).mean(axis=1)
        return drop - weight * (expected - others), 1.0 + weight * (high - low)

    def _weight(self, policy: Policy, expected: np.ndarray, each: int) -> float:
        """How much to correct: the weight with the least variance on the fitting split."""
        records = self.fitted_on
        drop = records.score[-1] - replay(records, policy).sample_score
        together = float(np.cov(drop, expected)[0, 1]) if len(records) > 1 else 0.0
        return float(np.clip(together / (expected.var(ddof=1) * (1 + 1 / each)), 0.0, 1.0))

    def _expected(self, policy: Policy, records: Records) -> np.ndarray:
        known = replace(records, score=self.model(records.confidence))
        found: np.ndarray = known.score[-1].astype(np.float64) - replay(known, policy).sample_score
        return found
