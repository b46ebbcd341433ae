"""Part of bench_quality.py: what detectors gain by contributions to the AP, signals and the polish."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from quality_draws import summary
from recorded_data import DATA

from orxe_plugins import Records, fit_policies, load_expert, replay
from orxe_plugins.data.datasets import Dataset
from orxe_plugins.detection import CocoDataset, RoutedAP
from orxe_plugins.detection.coco.contribution import contributions
from orxe_plugins.detection.coco.matching import Matches
from orxe_plugins.detection.coco.running_ap import RunningAP
from orxe_plugins.errors import OrxeError
from orxe_plugins.records import fit_signals, load_records, record, with_signals
from orxe_plugins.search import polished, with_choices
from orxe_plugins.tasks import recorded_matches, task_named

HALVES = 20
#: shares of the images that are passed on
SHARES = (0.1, 0.2, 0.3, 0.5)
PREFERENCES = np.linspace(0, 1, 51).round(6).tolist()
TIMED_IMAGES = 5000


def detection(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A pair of detectors, on random halves: "digits_detection" or "coco_sample"."""
    return _measured(*_FOUND[name](options))


def _digits(options: argparse.Namespace) -> tuple[Records, Dataset]:
    folder: Path = options.detection
    if not (folder / "records").is_dir():
        raise OrxeError(f"{folder} holds no records: run `orxe record digits_detection --out {folder}` first")
    return load_records(folder / "records"), CocoDataset(folder / "scenes")


def _coco(options: argparse.Namespace) -> tuple[Records, Dataset]:
    """yolo11n at 160 pixels before yolo11n at 640."""
    if not (DATA / "coco_sample").is_dir():
        raise OrxeError(f"{DATA / 'coco_sample'} is not there: set ORXE_DATA to the folder of the data")
    dataset, folder = CocoDataset(DATA / "coco_sample"), options.parts / "coco_sample-records"
    if not folder.is_dir():
        weights = DATA / "coco_experts" / "yolo11n_dequantised.pt"
        experts = [load_expert(f"ultralytics:{weights}?imgsz={size}") for size in (160, 640)]
        for expert, size in zip(experts, (160, 640), strict=True):
            expert.name = f"yolo11n@{size}"
        record(experts, dataset, folder, task=task_named("detection"))
    return load_records(folder), dataset


def polish(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time of the polish of the same pair."""
    records, dataset = _FOUND[name](options)
    return _timed(records, _matches(records, dataset))


_FOUND = {"digits_detection": _digits, "coco_sample": _coco}


def _matches(records: Records, dataset: Dataset) -> list[Matches]:
    place = {sample: i for i, sample in enumerate(dataset.sample_ids)}
    return recorded_matches(records.predictions, [dataset.targets[place[s]] for s in records.sample_ids])


def _measured(records: Records, dataset: Dataset) -> dict[str, Any]:
    matches = _matches(records, dataset)
    routed = RoutedAP(matches)
    ends = [routed.ap(np.full(len(records), i)) for i in range(2)]
    shares: dict[str, list[list[float]]] = {}
    searches: dict[str, list[list[float]]] = {}
    kinds: list[str] = []
    for seed in range(HALVES):
        order = np.random.default_rng(seed).permutation(len(records))
        fit, rest = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        own = replace(records.samples(fit), score=contributions([each.select(fit) for each in matches]))
        held = RoutedAP([each.select(rest) for each in matches])
        signal = fit_signals(own)[records.names[0]]
        kinds.append(signal.options["kind"])
        ways = {
            "mean box score": {"kind": "mean_box_score"},
            "box doubt": {"kind": "box_doubt"},
            "advantage": signal.fitted,
            "auto": signal.options,
        }
        other = records.samples(rest)
        for way, option in ways.items():
            seen = with_signals(other, {records.names[0]: option}).confidence[0]
            shares.setdefault(way, []).append([_gained(held, seen, share) for share in SHARES])
        own_gain = np.diff(contributions([each.select(rest) for each in matches]), axis=0)[0]
        shares.setdefault("each image's own gain", []).append([_gained(held, -own_gain, share) for share in SHARES])
        rng = np.random.default_rng(seed)
        lucky = [[_gained(held, rng.random(len(rest)), share) for share in SHARES] for _ in range(20)]
        shares.setdefault("random", []).append(np.mean(lucky, axis=0).tolist())
        auto = {records.names[0]: signal.options}
        for way, figures in _searched(records.samples(fit), own, auto, [each.select(fit) for each in matches]).items():
            searches.setdefault(way, []).append(_objective(figures, other, auto, held))
    return {
        "samples": len(records),
        "experts": list(records.names),
        "cost": records.standalone_cost.tolist(),
        "ap": ends,
        "shares": {way: _columns(values) for way, values in shares.items()},
        "gain_on_random": _beside(shares, "random"),
        "gain_on_mean_box_score": _beside(shares, "mean box score"),
        "searches": {way: _columns(values) for way, values in searches.items()},
        "auto": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }


def _columns(values: list[list[float]]) -> list[list[float]]:
    """Summary over draws of each of some figures."""
    return [summary(column) for column in np.array(values).T]


def _gained(held: RoutedAP, confidence: np.ndarray, share: float) -> float:
    """Share of the large model's gain in AP where the least sure images are passed on."""
    m = len(confidence)
    routing = np.zeros(m, dtype=int)
    routing[np.argsort(confidence, kind="stable")[: round(share * m)]] = 1
    small, large = (held.ap(np.full(m, i)) for i in range(2))
    return float((held.ap(routing) - small) / (large - small))


def _beside(shares: dict[str, list[list[float]]], base: str) -> dict[str, list[float]]:
    """Paired gain of each way at 20 % passed on."""
    at = SHARES.index(0.2)
    plain = np.array(shares[base])[:, at]
    return {way: summary(np.array(values)[:, at] - plain) for way, values in shares.items() if way != base}


def _searched(plain: Records, own: Records, auto: dict[str, Any], matches: Sequence[Matches]) -> dict[str, Any]:
    """Tables of the search as it was, with contributions, and with everything."""
    signalled = with_signals(own, auto)
    table = with_choices(fit_policies(signalled, PREFERENCES), signalled)
    return {
        "image AP, recorded scores, mean box score": fit_policies(plain, PREFERENCES, scores="raw"),
        "image AP, auto scores, mean box score": fit_policies(plain, PREFERENCES),
        "contributions, mean box score": fit_policies(own, PREFERENCES),
        "contributions, auto signal": table,
        "contributions, auto signal, polish": polished(table, signalled, RunningAP(RoutedAP(matches))),
    }


def _objective(table: Any, other: Records, auto: dict[str, Any], held: RoutedAP) -> list[float]:
    """Mean objective on the other half, its AP at half the cost of the last expert, the widest step between rows."""
    with_signal = "auto" if table.pareto else ""
    seen = with_signals(other, auto) if with_signal else other
    whole = float(other.standalone_cost[-1])
    costs, aps = [], []
    for row in table.offered:
        outcome = replay(seen, row)
        costs.append(outcome.cost / whole)
        aps.append(held.ap(outcome.expert))
    cost, ap = np.array(costs), np.array(aps)
    fitted = {row.policy: k for k, row in enumerate(table.offered)}
    at = [fitted[row.policy] for row in table]
    p = np.array(table.preferences)
    value = float(np.mean((1 - p) * cost[at] + p * (1 - ap[at])))
    order = np.argsort(cost, kind="stable")
    gap = float(np.diff(np.unique([row.cost / whole for row in table.offered])).max(initial=0.0))
    return [value, float(np.interp(0.5, cost[order], ap[order])), gap]


def _timed(records: Records, matches: Sequence[Matches]) -> dict[str, float]:
    """Processor time of the polish on so many images, which repeat those that there are."""
    times = -(-TIMED_IMAGES // len(records))
    many = records.samples(np.tile(np.arange(len(records)), times)[:TIMED_IMAGES])
    routed = RunningAP(RoutedAP([_repeated(each, times) for each in matches]))
    table = with_choices(fit_policies(many, PREFERENCES), many)
    whole = np.tile(np.arange(len(records)), times)[: times * len(records)]

    def metric(expert: np.ndarray) -> float:
        full = np.zeros(len(whole), dtype=np.int32)
        full[: len(expert)] = expert
        return routed(full)

    metric(np.zeros(TIMED_IMAGES, dtype=np.int32))
    start = time.process_time()
    found = polished(table, many, metric)
    return {"images": TIMED_IMAGES, "boxes": sum(len(each) for each in matches) * times,
            "seconds": time.process_time() - start, **found.details["polished"]}  # fmt: skip


def _repeated(matches: Matches, times: int) -> Matches:
    """The matches of a data set in which every image is there so many times."""
    shift = np.arange(times)[:, None] * matches.n_images
    order = np.argsort(np.tile(matches.label, times), kind="stable")
    fields = {
        name: np.tile(getattr(matches, name), (times, 1) if getattr(matches, name).ndim == 2 else times)[order]
        for name in ("label", "score", "true_positive", "ignored")
    }
    return replace(
        matches, n_images=times * matches.n_images, **fields,
        image=(matches.image[None] + shift).ravel()[order].astype(np.int32),
        object_label=np.tile(matches.object_label, times),
        object_image=(matches.object_image[None] + shift).ravel().astype(np.int32),
        object_counts=np.tile(matches.object_counts, (times, 1)),
    )  # fmt: skip
