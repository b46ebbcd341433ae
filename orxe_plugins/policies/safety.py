"""The safe side: which row to take where figures are estimates with standard errors.

The cheapest row that keeps within an allowed drop by its estimate keeps within it on new samples about every other
time. A row further up the table is safer. How far to go is limited twice: by the estimates' standard errors, and by
what safety costs. With few samples, the first limit alone would often end at the last expert, which saves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: standard errors that an estimate should be on the safe side by
SAFETY = 4.0
#: the same for a cost that should stay within a budget
BUDGET_SAFETY = 1.0
#: what a step to a safer row may cost: a share of the savings, for each share of the allowed drop that it takes back
FAIR_PRICE = 0.33


@dataclass(frozen=True)
class Option:
    """A row, as the choice sees it.

    Attributes:
        cost: mean cost over the last expert's.
        drop: estimated drop.
        error: its standard error.
    """

    cost: float
    drop: float
    error: float = 0.0


def safe_choice(
    options: Sequence[Option], allowed: float, safety: float = SAFETY, price: float = FAIR_PRICE
) -> int | None:
    """Position of the option to take; None if no option keeps within ``allowed`` by its estimate.

    The cheapest option within ``allowed`` is where it starts. From there it goes to a safer one, and on, each time to
    the one with the least extra cost for the drop that it takes back. It stops where the drop plus ``safety`` standard
    errors is within ``allowed`` too, or where the next step costs too much: with the price 0.33, a step that takes back
    a tenth of the allowed drop may cost at most 3.3 % of the savings. Where less than a standard error is allowed, the
    standard error stands in for what is allowed in this comparison.

    Args:
        options: what there is to choose from.
        allowed: what the drop should be within.
        safety: standard errors; 0 takes the cheapest option whose estimate is within ``allowed``.
        price: what a step may cost; infinite is safety at any price.

    >>> options = [Option(0.2, 0.009, 0.002), Option(0.25, 0.004, 0.002), Option(0.6, 0.001, 0.001)]
    >>> safe_choice(options, 0.01, safety=0), safe_choice(options, 0.01)
    (0, 1)
    """
    within = [k for k, option in enumerate(options) if option.drop <= allowed]
    if not within:
        return None
    first = min(within, key=lambda k: (options[k].cost, options[k].drop))
    scale = max(allowed, options[first].error)
    savings = 1 - options[first].cost
    limit = price * savings / scale if savings > 0 and scale > 0 else 0.0  # extra cost for a drop of 1
    taken = first
    while options[taken].drop + safety * options[taken].error > allowed:
        now = options[taken]
        safer = [k for k, option in enumerate(options) if option.drop < now.drop and option.cost >= now.cost]
        prices = [(options[k].cost - now.cost) / (now.drop - options[k].drop) for k in safer]
        if not prices or min(prices) > limit:
            break
        # Of options on one line, which only rounding tells apart, the next one.
        fair = [k for k, each in zip(safer, prices, strict=True) if each <= min(prices) * (1 + 1e-9)]
        taken = max(fair, key=lambda k: options[k].drop)
    return taken
