"""Search: from records to a policy table."""

from orxe_plugins.search.intervals import Bootstrap, bootstrap, clopper_pearson
from orxe_plugins.search.pool import select_pool
from orxe_plugins.search.replay import Outcome, replay
from orxe_plugins.search.savers import (
    SaverCurves,
    SaverRow,
    SaverTable,
    saver_curves,
    saver_table,
    select_saver,
    select_savers,
)
from orxe_plugins.search.thresholds import fit_policies

__all__ = [
    "Bootstrap",
    "Outcome",
    "SaverCurves",
    "SaverRow",
    "SaverTable",
    "bootstrap",
    "clopper_pearson",
    "fit_policies",
    "replay",
    "saver_curves",
    "saver_table",
    "select_pool",
    "select_saver",
    "select_savers",
]
