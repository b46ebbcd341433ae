"""PolicyRow and Promise: what a policy table says of one policy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from orxe_plugins.thresholds import Policy, check_preference


@dataclass(frozen=True)
class PolicyRow:
    """One policy of a table, with what replay on the fitting split says of it.

    Attributes:
        preference: lambda in [0, 1]; 0 = only cost counts, 1 = only performance counts.
        policy: the thresholds.
        cost: mean cost per sample, in the table's unit.
        score: mean score per sample.
    """

    preference: float
    policy: Policy
    cost: float
    score: float

    def __post_init__(self) -> None:
        check_preference(self.preference)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"preference": self.preference, "cost": self.cost, "score": self.score, **self.policy.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PolicyRow:
        """The inverse of :meth:`to_dict`."""
        return cls(data["preference"], Policy.from_dict(data), data["cost"], data["score"])


@dataclass(frozen=True)
class Promise:
    """What was tested on a choosing split: see :func:`orxe_plugins.search.promise.promise`.

    Attributes:
        max_drop: the drop of the mean score against the last expert that was allowed.
        confidence: the probability with which the promise holds, over the draw of the choosing split.
        n_samples: number of samples of the choosing split.
        tried: number of policies that were tested.
        row: the cheapest policy that passed; None if none did.
        drop: its observed drop on the choosing split; NaN if none passed.
        p_value: of the last test that passed; of the first one if none did.
        test: name of the test.
        reason: why no policy can promise this; empty if one can.
    """

    max_drop: float
    confidence: float
    n_samples: int
    tried: int
    row: PolicyRow | None
    drop: float = math.nan
    p_value: float = math.nan
    test: str = ""
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**self.__dict__, "row": None if self.row is None else self.row.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Promise:
        """The inverse of :meth:`to_dict`."""
        return cls(**{**data, "row": None if data["row"] is None else PolicyRow.from_dict(data["row"])})
