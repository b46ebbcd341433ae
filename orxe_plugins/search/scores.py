"""The scores that a search runs on: recorded ones, or expected ones where samples are few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary
from zlib import crc32

import numpy as np

from orxe_plugins.errors import unknown
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.records import Records
from orxe_plugins.search.denoise import describe
from orxe_plugins.search.expected.model import MAX_SAMPLES, ExpectedScores
from orxe_plugins.search.expected.uncertainty import Errors, Uncertainty

#: what was fitted last on records that are still in use: a search, its further choices and a report ask for the same
_FITTED: WeakKeyDictionary[Records, tuple[tuple[int, ...], ExpectedScores]] = WeakKeyDictionary()

Scores = Literal["auto", "raw", "denoised"]
KINDS = ("auto", "raw", "denoised")


def _model_of(records: Records, seed: int) -> ExpectedScores:
    """The regression of these records, fitted once as long as their arrays stay what they are."""
    state = (seed, *(crc32(np.ascontiguousarray(array).data) for array in (records.score, records.confidence)))
    known = _FITTED.get(records)
    if known is None or known[0] != state:
        known = (state, ExpectedScores.fit(records, seed=seed))
        _FITTED[records] = known
    return known[1]


@dataclass(frozen=True, eq=False)
class SearchScores:
    """Records as a search sees them.

    Attributes:
        recorded: with the recorded scores.
        records: with the scores that the search runs on; the same object where these are the recorded ones.
        model: where expected scores come from; None for recorded ones.
    """

    recorded: Records
    records: Records
    model: ExpectedScores | None = None

    @classmethod
    def of(cls, records: Records, scores: str = "auto", seed: int = 0) -> SearchScores:
        """The scores that are asked for.

        Args:
            records: N experts, M samples, with the recorded scores.
            scores: "raw", "denoised" (:func:`~orxe_plugins.search.denoise.denoised`), or "auto": denoised
                where all samples can fit the regression. With more of them, recorded scores are exact enough.
            seed: of the draw that fits the regression.

        Raises:
            OrxeError: ``scores`` is something else.
        """
        if scores not in KINDS:
            raise unknown("kind of scores", scores, KINDS)
        if not len(records) or scores == "raw" or (scores == "auto" and len(records) > MAX_SAMPLES):
            return cls(records, records)
        model = _model_of(records, seed)
        return cls(records, replace(records, score=model(records.confidence)), model)

    @classmethod
    def of_table(cls, table: PolicyTable, records: Records) -> SearchScores:
        """The scores that a table was searched on, of the same records."""
        kind = table.details.get("scores", {}).get("kind", "raw")
        return cls.of(records, kind, table.details.get("search", {}).get("seed", 0))

    @property
    def details(self) -> dict[str, Any]:
        """How the scores came about, as JSON values."""
        return {"kind": "raw"} if self.model is None else describe(self.model)

    def with_errors(self, rows: Iterable[PolicyRow]) -> tuple[PolicyRow, ...]:
        """The rows with the standard errors of their figures."""
        uncertainty = Uncertainty(self.recorded, self.model)
        known: dict[Policy, Errors] = {}
        found = []
        for row in rows:
            if row.policy not in known:
                known[row.policy] = uncertainty.of(row.policy)
            errors = known[row.policy]
            found.append(replace(row, cost_error=errors.cost, score_error=errors.score, drop_error=errors.drop))
        return tuple(found)
