"""Records: what each expert answered to each sample."""

from orxe_plugins.records.loading import load_records
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.records.recorder import record
from orxe_plugins.records.records import Records
from orxe_plugins.util.progress import Progress

__all__ = ["Progress", "RecordOptions", "Records", "load_records", "record"]
