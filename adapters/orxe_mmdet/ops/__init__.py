"""mmcv's compiled ops out of torchvision and torch, for the Python installations that have none.

No wheel of mmcv with compiled ops exists for current torch, and without the module ``mmcv._ext``
MMDetection cannot be imported. :func:`install` offers a module of that name that works on any torch.
Python asks for it only where nothing else provides that module: a compiled ``mmcv._ext`` is never replaced.

What :func:`install` changes in the process: one finder at the end of ``sys.meta_path``, and one formula in the
registry of torch's FLOP counter.
"""

from orxe_mmdet.ops.finder import install, is_fallback
from orxe_mmdet.ops.table import FALLBACKS

__all__ = ["FALLBACKS", "install", "is_fallback"]
