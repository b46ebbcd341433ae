"""Keep freed memory in the process: what a batch's activations lay in serves the next batch."""

from __future__ import annotations

import ctypes
import os
import sys

# The options of glibc's mallopt: how much free memory is kept, and from which size a block is mapped by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MAPPED_FROM = 1 << 30
_KEPT = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Let glibc keep up to 2 GiB of freed memory instead of returning each large block to the system.

    By default every activation above 32 MiB is mapped anew and zeroed page by page by the kernel, which on a CPU can
    take longer than the model itself. For processes of our own alone: the setting is the whole process's. What the
    user's environment says (``MALLOC_...``) goes first.

    Returns:
        Whether it was set; False on systems without glibc.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MAPPED_FROM)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
