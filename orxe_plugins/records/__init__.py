"""Records: what each expert answered to each sample."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.records.agreement import agreement_records, answers_as_targets
    from orxe_plugins.records.loading import load_records
    from orxe_plugins.records.options import RecordOptions
    from orxe_plugins.records.recorder import record
    from orxe_plugins.records.records import Records
    from orxe_plugins.records.signals import Signal, fit_signals, with_signals
    from orxe_plugins.records.temperature import fit_temperatures, with_temperatures
    from orxe_plugins.util.progress import Progress
else:
    _PLACES = {
        "Progress": "orxe_plugins.util.progress",
        "RecordOptions": "orxe_plugins.records.options",
        "Records": "orxe_plugins.records.records",
        "agreement_records": "orxe_plugins.records.agreement",
        "Signal": "orxe_plugins.records.signals",
        "answers_as_targets": "orxe_plugins.records.agreement",
        "fit_signals": "orxe_plugins.records.signals",
        "fit_temperatures": "orxe_plugins.records.temperature",
        "load_records": "orxe_plugins.records.loading",
        "record": "orxe_plugins.records.recorder",
        "with_signals": "orxe_plugins.records.signals",
        "with_temperatures": "orxe_plugins.records.temperature",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Progress",
    "RecordOptions",
    "Records",
    "Signal",
    "agreement_records",
    "answers_as_targets",
    "fit_signals",
    "fit_temperatures",
    "load_records",
    "record",
    "with_signals",
    "with_temperatures",
]
