"""Records: what each expert said of each sample."""

from orxe_plugins.records.loading import load_records
from orxe_plugins.records.recorder import record
from orxe_plugins.records.records import Records
from orxe_plugins.util.progress import Progress

__all__ = ["Progress", "Records", "load_records", "record"]
