"""Whether routes on a device are what its own confidences say, and what the CPU's say."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from gpu_pool import Pool
from torch import Tensor

from orxe_plugins import Cascade, Records, replay
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Answers, Expert

#: no confidence may differ from the CPU's by more
LIMITS = {"fp32": 2e-3, "fp16": 5e-2, "bf16": 2e-1}


def check(pool: Pool, rows: int) -> dict[str, Any]:
    """Compare routes; see the module.

    Raises:
        AssertionError: a route is not what its confidences say, or differs from the CPU's outside of the band.
    """
    images = pool.images[:rows]
    with pool.running():
        here, expert = _seen(pool.cascade, images)
    assert (_replayed(pool.cascade, here) == expert).all(), "routes differ from the replay of their own confidences"
    with torch.inference_mode():
        there, on_cpu = _seen(pool.on_cpu(), images.float().cpu())
    both = ~np.isnan(here) & ~np.isnan(there)
    band = float(np.abs(here - there)[both].max())
    assert band <= LIMITS[pool.dtype], f"confidences differ from the CPU's by {band}: more than {LIMITS[pool.dtype]}"
    differing = np.flatnonzero(expert != on_cpu)
    for row in differing:
        assert _is_close(pool.cascade, there[:, row], band), (
            f"row {row}: expert {expert[row]}, on the CPU {on_cpu[row]}"
        )
    return {"rows": rows, "band": band, "differing": len(differing), "waits": _waits(pool, images)}


def _seen(cascade: Cascade, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Confidences that experts had while they were routed, (N, B) with NaN where one did not run; and who answered."""
    seen = np.full((len(cascade.members), len(images)), np.nan, dtype=np.float32)
    for i, expert in enumerate(cascade.members):
        expert.run = _noting(expert, seen[i])  # type: ignore[method-assign]
    try:
        _, route = cascade.route(images)
    finally:
        for expert in cascade.members:
            del expert.run
    return seen, route.expert.cpu().numpy()


def _noting(expert: Expert, row: np.ndarray) -> Any:
    run = expert.run

    def noted(batch: Any, context: BatchContext | None = None) -> Answers:
        answers = run(batch, context)
        at = slice(None) if context is None or context.rows is None else context.rows.cpu().numpy()
        row[at] = answers.confidence.float().cpu().numpy()
        return answers

    return noted


def _replayed(cascade: Cascade, confidence: np.ndarray) -> np.ndarray:
    n, m = confidence.shape
    names = [expert.name for expert in cascade.members]
    # What did not run has no confidence, and is not asked for one.
    records = Records.from_arrays(names, np.arange(1, n + 1), np.nan_to_num(confidence), np.zeros((n, m), np.uint8))
    return replay(records, cascade.policy).expert


def _is_close(cascade: Cascade, confidence: np.ndarray, band: float) -> bool:
    """Whether one of the confidences lies within the band around its threshold."""
    pairs = zip(confidence, cascade.policy.exit_thresholds, strict=False)
    return any(t is not None and not np.isnan(c) and abs(float(c) - t) <= band for c, t in pairs)


def _waits(pool: Pool, images: Tensor) -> int | None:
    """How often the host waits for the device while a batch is routed; None where that cannot be counted."""
    if pool.device.type != "cuda":
        return None
    with pool.running(), warnings.catch_warnings(record=True) as caught:
        pool.cascade.route(images)
        torch.cuda.synchronize()
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            pool.cascade.route(images)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in caught)
