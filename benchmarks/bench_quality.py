"""What a search on recorded scores and one on denoised scores are worth on samples that nothing was fitted on.

From records alone: random draws of n samples are searched on, the others are reported on. The same draws serve all
methods, so that differences are paired. Writes quality.json and quality.md beside this file.

    python benchmarks/bench_quality.py

Data are looked for in ORXE_DATA, or in ../shared/data beside the repository. The experts of cifar10_experts come as
logits. Those of imagenet_experts are recorded on imagenet_sample first, if --records does not hold these records
yet; that takes a few minutes on a CPU. What is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from quality_markdown import to_markdown
from recorded_data import DATA, described, record_imagenet
from scipy import stats

from orxe_plugins import PolicyTable, Records, fit_policies, replay
from orxe_plugins.errors import OrxeError
from orxe_plugins.records import agreement_records, load_records

ROOT = Path(__file__).resolve().parent
#: shares of the last expert's cost at which scores are compared
SHARES = (0.1, 0.2, 0.3, 0.4)
PACKAGES = ("orxe_plugins", "numpy", "scipy", "numba")
#: it was trained too briefly
LEFT_OUT = "vit_p4_d128"


@dataclass(frozen=True)
class Method:
    """One way to search.

    Attributes:
        name: in the tables.
        labels: whether scores are right answers; else agreement with the last expert.
        scores: what the search runs on.
        safety: standard errors on the safe side where a drop is allowed; None for the default.
    """

    name: str
    labels: bool
    scores: str
    safety: float | None = None


METHODS = (
    Method("labels, recorded scores", True, "raw", 0.0),
    Method("labels, auto", True, "auto"),
    Method("labels, auto, safety 0", True, "auto", 0.0),
    Method("no labels, recorded scores", False, "raw", 0.0),
    Method("no labels, auto", False, "auto"),
)


def main() -> None:
    """Measure, print the tables, and write them."""
    options = _options()
    result: dict[str, Any] = {
        "settings": {"splits": options.splits, "shares": SHARES, "max_drop": options.max_drop,
                     "preferences": options.preferences},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "data": {}, "left_out": {},
    }  # fmt: skip
    sources = {"cifar10_experts": cifar10_experts, "imagenet_experts": lambda: imagenet_experts(options.records)}
    for name in options.data or sources:
        try:
            records = sources[name]()
        except OrxeError as error:
            print(f"{name} is left out: {error}")
            result["left_out"][name] = str(error)
            continue
        start = time.perf_counter()
        result["data"][name] = measure(records, options)
        result["data"][name]["seconds"] = round(time.perf_counter() - start)
    text = to_markdown(result)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "quality.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.out / "quality.md").write_text(text)


def cifar10_experts() -> Records:
    """Seven small models on test images of CIFAR-10."""
    file = DATA / "cifar10_experts" / "logits.npz"
    if not file.exists():
        raise OrxeError(f"{file} is not there: set ORXE_DATA to the folder of the data")
    with np.load(file) as archive:
        names, mmacs, label = archive["names"], archive["mmacs"], archive["label"]
        logits = archive["logits"].astype(np.float64)  # (N, M, 10)
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    answer = logits.argmax(axis=-1)
    records = Records.from_arrays(
        names.tolist(), mmacs / 1000, 1 / odds.sum(axis=-1), (answer == label).astype(np.uint8),
        predictions={"classes": answer[:, :, None]},
    )  # fmt: skip
    return records.experts([name for name in records.names if name != LEFT_OUT]).sorted_by_cost()


def imagenet_experts(folder: Path) -> Records:
    """Eight ImageNet models on 496 images."""
    for needed in ("imagenet_experts", "imagenet_sample"):
        if not (DATA / needed).is_dir():
            raise OrxeError(f"{DATA / needed} is not there: set ORXE_DATA to the folder of the data")
    if not folder.is_dir():
        record_imagenet(folder)
    return load_records(folder)


def measure(records: Records, options: argparse.Namespace) -> dict[str, Any]:
    """Every method at every number of samples."""
    agreement = agreement_records(records)
    rows = []
    for n in (n for n in options.sizes if n <= len(records) / 2):
        plain: dict[str, np.ndarray] = {}
        halves = list(draws(len(records), n, options.splits))
        tables: dict[tuple[bool, str], list[PolicyTable]] = {}
        for method in METHODS:
            if options.labels_only and not method.labels:
                continue
            searched, key = records if method.labels else agreement, (method.labels, method.scores)
            if key not in tables:
                tables[key] = [
                    fit_policies(searched.samples(fit), options.preferences, scores=method.scores)  # type: ignore[arg-type]
                    for fit, _ in halves
                ]
            found = [
                report(table, records.samples(rest), method, options)
                for table, (_, rest) in zip(tables[key], halves, strict=True)
            ]
            figures = {key: np.array([one[key] for one in found]) for key in found[0]}
            plain = plain or figures
            rows.append({"n": n, "method": method.name, **_summary(figures, plain)})
            print(f"n = {n}, {method.name}: objective {rows[-1]['objective']:.4f}", flush=True)
    return described(records, rows)


def draws(total: int, n: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random draws of n samples, each with the rest."""
    for seed in range(count):
        order = np.random.default_rng([n, seed]).permutation(total)
        yield np.sort(order[:n]), np.sort(order[n:])


def report(table: PolicyTable, rest: Records, method: Method, options: argparse.Namespace) -> dict[str, Any]:
    """Figures of a table on the samples that it was not fitted on, by their labels."""
    whole = float(rest.standalone_cost[-1])
    held = {row.policy: replay(rest, row) for row in table}
    cost = np.array([held[row.policy].cost / whole for row in table])
    score = np.array([held[row.policy].score for row in table])
    preference = np.array(table.preferences)
    chosen = held[table.choose(max_drop=options.max_drop, safety=method.safety).policy]
    order = np.argsort(cost, kind="stable")
    return {
        "score_at": np.interp(SHARES, cost[order], score[order]),
        "drop": float(rest.mean_score[-1]) - chosen.score,
        "cost": chosen.cost / whole,
        "objective": float(np.mean((1 - preference) * cost + preference * (1 - score))),
    }


def _summary(figures: dict[str, np.ndarray], plain: dict[str, np.ndarray]) -> dict[str, Any]:
    """Means over the draws, and paired differences from the first method."""
    gain = figures["score_at"].mean(axis=1) - plain["score_at"].mean(axis=1)
    extra = figures["objective"] - plain["objective"]
    return {
        "score_at": figures["score_at"].mean(axis=0).tolist(),
        "drop": float(figures["drop"].mean()),
        "drop_of_draws": figures["drop"].tolist(),
        "cost": float(figures["cost"].mean()),
        "objective": float(figures["objective"].mean()),
        "gain": [float(gain.mean()), *_interval(gain, 0.95)],
        "objective_change": [float(extra.mean()), *_interval(extra, 0.99)],
    }


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Interval of the mean over draws, by Student's t."""
    reach = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - reach), float(values.mean() + reach)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=("cifar10_experts", "imagenet_experts"), help="both by default")
    parser.add_argument(
        "--records", type=Path, default=Path("runs/honesty"), help="folder of imagenet_experts' records"
    )
    parser.add_argument("--splits", type=int, default=20, help="random draws of each size, at least 2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 248, 500, 1000, 2400])
    parser.add_argument("--labels-only", action="store_true", help="leave out what searches without labels")
    parser.add_argument("--max-drop", type=float, default=0.01)
    parser.add_argument("--preferences", type=int, default=26, help="from 0.5 to 1")
    parser.add_argument("--out", type=Path, default=ROOT)
    options = parser.parse_args()
    options.preferences = np.linspace(0.5, 1, options.preferences).round(6).tolist()
    return options


if __name__ == "__main__":
    main()
