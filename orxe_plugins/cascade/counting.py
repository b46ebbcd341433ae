"""Costs that nobody gave, counted before a batch is answered: a request measures nothing while it runs."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch

from orxe_plugins.cascade.faults import in_words
from orxe_plugins.cascade.plan import stages_of
from orxe_plugins.cost.sharing import positions_of
from orxe_plugins.data.batch import batch_size, take_rows
from orxe_plugins.errors import OrxeWarning
from orxe_plugins.experts.expert import Expert
from orxe_plugins.policies.policy import Policy

#: a batch may hold what no expert can take: another one may be counted on
_MOST_TRIES = 3

_LOCK = threading.Lock()
_TRIES: WeakKeyDictionary[Expert, int] = WeakKeyDictionary()


def count_unknown(experts: Sequence[Expert], policy: Policy, batch: Any) -> None:
    """Count the cost of every expert that a policy may run and whose cost is not known, on one sample of a batch.

    Operations are counted on copies that have shapes alone; other threads may run the experts meanwhile. A cost that
    cannot be counted stays unknown, which is NaN in a route, and a warning says so once.

    Args:
        experts: N experts.
        policy: their thresholds.
        batch: the samples that are to be answered.
    """
    enabled = [stage.expert for stage in stages_of(policy)]
    if all(experts[i].cost is not None for i in enabled) or not batch_size(batch):
        return
    needs = positions_of([expert.name for expert in experts], [expert.needs for expert in experts])
    with _LOCK:
        for i in sorted({*enabled, *(needs[i] for i in enabled if needs[i] >= 0)}):
            if experts[i].cost is None and _TRIES.get(experts[i], 0) < _MOST_TRIES:
                _count(experts[i], batch)


def _count(expert: Expert, batch: Any) -> None:
    first = take_rows(batch, torch.zeros(1, dtype=torch.int64))
    try:
        expert.measure_cost(first)
    # Whatever a model raises: the batch is answered, or its own error is told, without this.
    except Exception as error:
        _TRIES[expert] = _TRIES.get(expert, 0) + 1
        if _TRIES[expert] == _MOST_TRIES:
            warnings.warn(
                f"the cost of expert {expert.name!r} cannot be counted and is NaN in every route: "
                f"{in_words(error)}. Give cost=",
                OrxeWarning,
                stacklevel=4,
            )
