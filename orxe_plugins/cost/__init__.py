"""What an expert costs per sample: counted MACs, or a measured figure."""

from orxe_plugins.cost.macs import cache_folder, cached_macs, count_macs

__all__ = ["cache_folder", "cached_macs", "count_macs"]
