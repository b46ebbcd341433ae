"""Search: from records to a policy table."""

from typing import TYPE_CHECKING

# Not lazy: the function has the name of its module.
from orxe_plugins.search.replay import Outcome, replay
from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.search.asking import LabelRequests
    from orxe_plugins.search.batched import BatchedCosts, batch_ms, batched_costs, with_costs
    from orxe_plugins.search.controls import Controls
    from orxe_plugins.search.denoise import denoised
    from orxe_plugins.search.engine.bounds import lower_bounds
    from orxe_plugins.search.fit import fit_policies
    from orxe_plugins.search.pareto import choose_experts, with_choices
    from orxe_plugins.search.polish import polished
    from orxe_plugins.search.pool import pareto_experts, select_pool
    from orxe_plugins.search.promise import with_promises
    from orxe_plugins.search.savers import (
        SaverCurves,
        SaverRow,
        SaverTable,
        saver_curves,
        saver_table,
        select_saver,
        select_savers,
    )
else:
    _PLACES = {
        "BatchedCosts": "orxe_plugins.search.batched",
        "Controls": "orxe_plugins.search.controls",
        "LabelRequests": "orxe_plugins.search.asking",
        "SaverCurves": "orxe_plugins.search.savers",
        "SaverRow": "orxe_plugins.search.savers",
        "SaverTable": "orxe_plugins.search.savers",
        "batch_ms": "orxe_plugins.search.batched",
        "batched_costs": "orxe_plugins.search.batched",
        "choose_experts": "orxe_plugins.search.pareto",
        "denoised": "orxe_plugins.search.denoise",
        "fit_policies": "orxe_plugins.search.fit",
        "lower_bounds": "orxe_plugins.search.engine.bounds",
        "pareto_experts": "orxe_plugins.search.pool",
        "polished": "orxe_plugins.search.polish",
        "saver_curves": "orxe_plugins.search.savers",
        "saver_table": "orxe_plugins.search.savers",
        "select_pool": "orxe_plugins.search.pool",
        "select_saver": "orxe_plugins.search.savers",
        "select_savers": "orxe_plugins.search.savers",
        "with_choices": "orxe_plugins.search.pareto",
        "with_costs": "orxe_plugins.search.batched",
        "with_promises": "orxe_plugins.search.promise",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "BatchedCosts",
    "Controls",
    "LabelRequests",
    "Outcome",
    "SaverCurves",
    "SaverRow",
    "SaverTable",
    "batch_ms",
    "batched_costs",
    "choose_experts",
    "denoised",
    "fit_policies",
    "lower_bounds",
    "pareto_experts",
    "polished",
    "replay",
    "saver_curves",
    "saver_table",
    "select_pool",
    "select_saver",
    "select_savers",
    "with_choices",
    "with_costs",
    "with_promises",
]
