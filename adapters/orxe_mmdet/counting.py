"""What mmengine's counter of operations sees of a cascade: the experts that the counted images go through."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.data.batch import take_rows

#: the hook by which the counters of mmengine and fvcore note which module an operation belongs to
_COUNTERS_HOOK = "ScopePushHook"


def is_counted(module: nn.Module) -> bool:
    """Whether a call of ``module`` is being counted; no other use of tracing, such as an export, counts as that."""
    hooks = module._forward_pre_hooks.values()
    return torch.jit.is_tracing() and any(type(hook).__name__ == _COUNTERS_HOOK for hook in hooks)


def answers_as_counted(cascade: Cascade, images: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Boxes (N, 4) and scores (N,) out of every expert for each image that goes through it.

    The counter sees what a trace has, which is only what leads to the values that come back. A cascade that is traced
    would also run every expert on every image, see :meth:`orxe_plugins.Cascade.route`: right for an export, but no
    image costs as much.
    """
    # Tracing is the state of a thread: in another one, the images are routed as they always are.
    with ThreadPoolExecutor(1) as pool:
        _, route = pool.submit(cascade.route, images).result()
    context = cascade.context(images)
    parts: list[Tensor] = []
    for i, expert in enumerate(cascade.members):
        index = route.ran[:, i].nonzero().squeeze(1)
        if len(index):
            found = expert.run(take_rows(images, index), context.on_rows(index)).outputs
            parts += [part for one in found for part in (one.boxes, one.scores)]
    return tuple(parts)
