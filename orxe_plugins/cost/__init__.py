"""What an expert costs per sample: counted MACs, or a measured figure."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.cost.latency import LatencyTable
    from orxe_plugins.cost.macs import cache_folder, cached_macs, count_macs
    from orxe_plugins.cost.time_cost import TimeCost
else:
    _PLACES = {
        "LatencyTable": "orxe_plugins.cost.latency",
        "TimeCost": "orxe_plugins.cost.time_cost",
        "cache_folder": "orxe_plugins.cost.macs",
        "cached_macs": "orxe_plugins.cost.macs",
        "count_macs": "orxe_plugins.cost.macs",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "LatencyTable",
    "TimeCost",
    "cache_folder",
    "cached_macs",
    "count_macs",
]
