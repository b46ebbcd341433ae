"""What holds for a whole search."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from orxe_plugins.errors import OrxeError, shortened, unknown


@dataclass(frozen=True)
class Regulariser:
    """What keeps a search from trusting few samples; 0 switches each of the three off.

    The supplement (B) names regularisation coefficients alpha and beta without a formula; this is our reading.

    Attributes:
        min_exits: an enabled expert before the last must answer at least this many of the M samples.
        alpha: an enabled expert before the last must win this many right answers, or save cost worth as many, to be
            used: each adds preference * alpha / M to the objective.
        beta: the same for each skip threshold in use.

    Raises:
        OrxeError: a value is no number of at least 0.
    """

    min_exits: int = 0
    alpha: float = 0.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < math.inf:
                raise OrxeError(f"{name} is {shortened(value)}: expected a number of at least 0; 0 switches it off")

    @classmethod
    def of(cls, named: Mapping[str, Any]) -> Regulariser:
        """The regulariser with these values.

        Raises:
            OrxeError: there is no such value, or as :class:`Regulariser` raises.
        """
        known = [field.name for field in fields(cls)]
        for name in named:
            if name not in known:
                raise unknown("regulariser", name, known)
        return cls(**named)

    def scaled(self, share: float) -> Regulariser:
        """What it comes to on a ``share`` of the samples."""
        return Regulariser(math.ceil(self.min_exits * share), self.alpha * share, self.beta * share)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


#: all three off
UNREGULARISED = Regulariser()


@dataclass(frozen=True)
class SearchSettings:
    """What holds for a whole search.

    Attributes:
        skip_gates: search skip thresholds too, and not only exit thresholds.
        regulariser: what keeps the search from trusting few samples.
        seed: of everything random.
        threads: how many; the result does not depend on it.
    """

    skip_gates: bool = True
    regulariser: Regulariser = UNREGULARISED
    seed: int = 0
    threads: int = 1
