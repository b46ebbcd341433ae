"""Records: what each expert said of each sample."""

from orxe_plugins.records.loading import load_records
from orxe_plugins.records.recorder import Progress, record
from orxe_plugins.records.records import Records

__all__ = ["Progress", "Records", "load_records", "record"]
