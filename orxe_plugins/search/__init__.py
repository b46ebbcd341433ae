"""Search: from records to a policy table."""

from orxe_plugins.search.fit import fit_policies
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

__all__ = [
    "Outcome",
    "SaverCurves",
    "SaverRow",
    "SaverTable",
    "fit_policies",
    "replay",
    "saver_curves",
    "saver_table",
    "select_pool",
    "select_saver",
    "select_savers",
]
