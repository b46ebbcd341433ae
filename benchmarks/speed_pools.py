"""A pool in which GMACs and milliseconds disagree: depthwise beside dense models, with records that are made up.

The weights are random, and scores and confidences are drawn so that each expert is as good as its kind is on ImageNet.
Two cascades are searched on them, in GMACs and in milliseconds, and what is asked of both is the same expected score.
What they take is then measured: every expert runs on those images that the records send to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import timm
import torch
from paired import ratios
from torch import Tensor

from orxe_plugins import Cascade, Expert, Policy, Records, Selection, fit_policies, replay
from orxe_plugins.cost.macs import count_macs
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.expert import Answers
from orxe_plugins.experts.measure import Timing, measure_latency
from orxe_plugins.search.batched import batched_costs, with_costs, with_time
from orxe_plugins.search.pareto import with_choices

#: models, and what their kind scores on ImageNet: depthwise ones, which count few GMACs, and dense ones
SKILL = {
    "mobilenetv3_small_100": 0.677,
    "ghostnet_100": 0.740,
    "mobilenetv3_large_100": 0.758,
    "mixnet_s": 0.760,
    "efficientnet_b0": 0.777,
    "efficientnet_b2": 0.806,
    "levit_128s": 0.766,
    "levit_192": 0.798,
    "levit_256": 0.815,
}
SIZE = 160
SIZES = (1, 4, 16, 64)
PREFERENCES = tuple(i / 20 for i in range(21))


class Scripted(Expert):
    """An expert that computes as it does, and is as sure as the records say.

    Its batch is a mapping of ``image`` (B, 3, h, w) and ``sample`` (B,): positions in the records.
    """

    def __init__(self, name: str, module: torch.nn.Module, cost: float, confidence: np.ndarray) -> None:
        super().__init__(name, module, cost=cost)
        self.known = torch.from_numpy(np.ascontiguousarray(confidence))

    def prepare(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["image"]

    def run(self, batch: dict[str, Tensor], context: BatchContext | None = None) -> Answers:
        return Answers(self(batch), self.known[batch["sample"]])


def records(names: tuple[str, ...], gmacs: dict[str, float], samples: int, seed: int = 0) -> Records:
    """Made-up records: one difficulty for each sample, a talent of each expert for it, seen through noise."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 2.2, samples)
    confidence, score = np.empty((len(names), samples), np.float32), np.empty((len(names), samples), np.uint8)
    for i, name in enumerate(names):
        logit = 1.3 * (_ability(SKILL[name]) - difficulty + rng.normal(0, 0.8, samples))
        score[i] = rng.random(samples) < _logistic(logit)
        confidence[i] = _logistic(1.15 * logit + rng.normal(0, 0.9, samples))
    return Records.from_arrays(names, [gmacs[name] for name in names], confidence, score, order="sort")


def measure(
    batch: int, rounds: int, clock: Callable[[], float], names: tuple[str, ...] = tuple(SKILL)
) -> dict[str, Any]:
    """Rows for some expected scores: the cascade searched in time beside the one searched in GMACs."""
    torch.manual_seed(0)
    example = torch.zeros(1, 3, SIZE, SIZE)
    modules = {name: _model(name) for name in names}
    gmacs = {name: count_macs(module, example) / 1e9 for name, module in modules.items()}
    latency = measure_latency(
        [Expert(name, module, cost=gmacs[name]) for name, module in modules.items()],
        lambda size: torch.rand(size, 3, SIZE, SIZE),
        [size for size in SIZES if size <= batch],
        timing=Timing(warmup=1, repeats=max(3, rounds // 2), clock=clock),
    )
    fit, report = records(names, gmacs, 20_000), records(names, gmacs, 20_000, seed=1)
    in_time = with_time(fit, batched_costs(fit, latency, PREFERENCES, batch))
    searched = {kind: with_choices(fit_policies(part, PREFERENCES), part) for kind, part in
                (("GMACs", fit), ("ms", in_time))}  # fmt: skip
    rows = []
    for target in _targets(report):
        try:
            asked = {kind: table.choose(Selection(target=target)).policy for kind, table in searched.items()}
        except OrxeError:
            continue
        kept = {"GMACs": report, "ms": with_costs(report, dict(zip(in_time.names, in_time.cost, strict=True)), "ms")}
        cascades = {kind: _scripted(modules, kept[kind], policy) for kind, policy in asked.items()}
        batches = {kind: _batches(kept[kind], batch) for kind in asked}

        ours, theirs = (partial(_route, cascades[kind], batches[kind]) for kind in ("ms", "GMACs"))
        found = ratios(ours, theirs, rounds, clock)
        rows.append({
            "target": target,
            **{f"in {kind}": _told(kept[kind], policy, gmacs) for kind, policy in asked.items()},
            "images": batch * len(batches["ms"]),
            **found,
        })  # fmt: skip
    return {"batch": batch, "size": SIZE, "skill": SKILL, "gmacs": gmacs, "latency": latency.to_dict(), "rows": rows}


@torch.inference_mode()
def _route(cascade: Cascade, batches: list[dict[str, Tensor]]) -> None:
    for one in batches:
        cascade.route(one)


def _model(name: str) -> torch.nn.Module:
    """LeViT's positions are made for one size of images; convolutions take any."""
    fixed = {"img_size": SIZE} if name.startswith("levit") else {}
    return timm.create_model(name, **fixed).eval()


def _targets(known: Records) -> list[float]:
    best = float(known.mean_score.max())
    return [round(best - drop, 4) for drop in (0.0, 0.01, 0.03)]


def _told(known: Records, policy: Policy, gmacs: dict[str, float]) -> dict[str, Any]:
    outcome = replay(known, policy)
    used = {known.names[i]: round(float(share), 4) for i, share in enumerate(outcome.run_share) if share > 0}
    return {
        "experts": used,
        "score": outcome.score,
        "gmacs": sum(share * gmacs[name] for name, share in used.items()),
    }


def _scripted(modules: dict[str, torch.nn.Module], known: Records, policy: Policy) -> Cascade:
    experts = [
        Scripted(name, modules[name], float(known.cost[i]), known.confidence[i]) for i, name in enumerate(known.names)
    ]
    return Cascade(experts, policy)


def _batches(known: Records, batch: int, count: int = 4) -> list[dict[str, Tensor]]:
    """The first samples of the records, with noise for images."""
    image = torch.rand(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return [{"image": image, "sample": torch.arange(k * batch, (k + 1) * batch)} for k in range(count)]


def _ability(skill: float) -> float:
    """The ability at which an expert answers such a share of the samples right."""
    rng = np.random.default_rng(0)
    noise = -rng.normal(0, 2.2, 100_000) + rng.normal(0, 0.8, 100_000)
    grid = np.linspace(-1, 6, 141)
    share = [float(_logistic(1.3 * (each + noise)).mean()) for each in grid]
    return float(np.interp(skill, share, grid))


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))
