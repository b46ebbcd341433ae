"""What a search, its signals and its promises are worth on samples that nothing was fitted on. From records alone.

Random draws of n samples are searched on, the others are reported on. The same draws serve all methods, so that
differences are paired. Every part is kept in the folder --parts as soon as it is measured: a run that was stopped goes
on where it was. Writes quality.json and quality.md beside this file.

    python benchmarks/bench_quality.py
    python benchmarks/bench_quality.py --only fusion   # one part alone

Data are looked for in ORXE_DATA, or in ../shared/data beside the repository. The experts of cifar10_experts come as
logits. Those of imagenet_experts are recorded on imagenet_sample first, if --records does not hold these records
yet; that takes a few minutes on a CPU. What is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from quality_detection import detection, polish
from quality_draws import draws, interval
from quality_markdown import put_into_docs, to_markdown
from quality_promises import promises
from quality_shift import shift
from quality_signals import fusion, signals
from quality_size import size
from recorded_data import DATA, described, record_imagenet

from orxe_plugins import PolicyTable, Records, fit_policies, replay
from orxe_plugins.errors import OrxeError
from orxe_plugins.records import agreement_records, load_records

ROOT = Path(__file__).resolve().parent
#: shares of the last expert's cost at which scores are compared
SHARES = (0.1, 0.2, 0.3, 0.4)
PACKAGES = ("orxe_plugins", "numpy", "scipy", "numba")
#: it was trained too briefly
LEFT_OUT = "vit_p4_d128"
#: numbers of samples at which a search without labels is measured, too
WITHOUT_LABELS = (248, 1000)


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
    parts = Parts(options.parts, not options.written)
    sources = {"cifar10_experts": cifar10_experts, "imagenet_experts": lambda: imagenet_experts(options.records)}
    for name in options.data or sources:
        try:
            records = sources[name]()
        except OrxeError as error:
            print(f"{name} is left out: {error}")
            result["left_out"][name] = str(error)
            continue
        if options.only in (None, "search"):
            result["data"][name] = measure(name, records, options, parts)
        for part, measured in (("signals", signals), ("fusion", fusion), ("promises", promises)):
            if options.only in (None, part):
                try:
                    found = parts.of(f"{part}-{name}", lambda records=records, measured=measured: measured(records))
                except OrxeError as error:
                    result["left_out"][f"{part} of {name}"] = str(error)
                    continue
                result.setdefault(part, {})[name] = found
    others: dict[str, Callable[[], Any]] = {
        "detection/digits_detection": lambda: detection("digits_detection", options),
        "detection/coco_sample": lambda: detection("coco_sample", options),
        "polish/digits_detection": lambda: polish("digits_detection", options),
        "polish/coco_sample": lambda: polish("coco_sample", options),
        "shift": lambda: shift(options),
        "size": lambda: size(options),
    }
    for part, measured_now in others.items():
        group, _, name = part.partition("/")
        if options.only in (None, group):
            try:
                found = parts.of(part, measured_now)
            except OrxeError as error:
                print(f"{part} is left out: {error}")
                result["left_out"][part] = str(error)
                continue
            if name:
                result.setdefault(group, {})[name] = found
            else:
                result[group] = found
    if options.only is not None:
        print(json.dumps({key: result.get(key) for key in (options.only, "data")}, indent=1))
        return
    text = to_markdown(result)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "quality.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.out / "quality.md").write_text(text)
    if options.out == ROOT:
        put_into_docs(ROOT.parent / "docs" / "search.md", result)


def cifar10_experts() -> Records:
    """Seven small models on test images of CIFAR-10."""
    file = DATA / "cifar10_experts" / "logits.npz"
    if not file.exists():
        raise OrxeError(f"{file} is not there: set ORXE_DATA to the folder of the data")
    with np.load(file) as archive:
        names, mmacs, label = archive["names"], archive["mmacs"], archive["label"]
        logits = archive["logits"].astype(np.float64)  # (N, M, 10)
    log_p = logits - logits.max(axis=-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=-1, keepdims=True))
    records = Records.from_arrays(
        names.tolist(), mmacs / 1000, np.exp(log_p.max(axis=-1)).clip(0, 1),
        (log_p.argmax(axis=-1) == label).astype(np.uint8), labels=label,
        predictions={
            "classes": np.broadcast_to(np.arange(log_p.shape[-1], dtype=np.int32), log_p.shape),
            "log_probs": log_p.astype(np.float32),
        },
        details={"keep": "all"},
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


class Parts:
    """What was measured already, one file for each part.

    Args:
        folder: where the files are; made if it is missing.
        measure: whether what is not there is measured; else it is an error.
    """

    def __init__(self, folder: Path, measure: bool = True) -> None:
        self.folder, self.measure = folder, measure
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, name: str, measured: Callable[[], Any]) -> Any:
        """What was measured under a name, or is measured now."""
        file = self.folder / f"{name}.json"
        if not file.is_file():
            if not self.measure:
                raise OrxeError(f"{name} was not measured")
            start = time.perf_counter()
            file.parent.mkdir(parents=True, exist_ok=True)
            result = measured()
            file.write_text(json.dumps(result) + "\n")
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        return json.loads(file.read_text())


def measure(name: str, records: Records, options: argparse.Namespace, parts: Parts) -> dict[str, Any]:
    """Every method at every number of samples."""
    agreement = agreement_records(records)
    rows = []
    for n in (n for n in options.sizes if n <= len(records) / 2):
        plain: dict[str, np.ndarray] = {}
        for method in METHODS:
            if not method.labels and n not in WITHOUT_LABELS:
                continue
            searched = records if method.labels else agreement
            found = [
                parts.of(
                    f"search/{name}-{n}-{'labels' if method.labels else 'none'}-{method.scores}-{seed}",
                    lambda fit=fit, rest=rest, method=method, searched=searched: searched_on(
                        searched.samples(fit), records.samples(rest), method, options
                    ),
                )
                for seed, (fit, rest) in enumerate(draws(len(records), n, options.splits))
            ]
            chosen = [{**one, **one["chosen"][str(method.safety)]} for one in found]
            figures = {key: np.array([one[key] for one in chosen]) for key in ("score_at", "objective", "drop", "cost")}
            plain = plain or figures
            rows.append({"n": n, "method": method.name, **_summary(figures, plain)})
        print(f"n = {n}, {name}: done", flush=True)
    return described(records, rows)


def searched_on(fit: Records, rest: Records, method: Method, options: argparse.Namespace) -> dict[str, Any]:
    """One search and its figures on the samples that it was not fitted on, by their labels."""
    table = fit_policies(fit, options.preferences, scores=method.scores)  # type: ignore[arg-type]
    return report(table, rest, options)


def report(table: PolicyTable, rest: Records, options: argparse.Namespace) -> dict[str, Any]:
    """Figures of a table on other samples; what is chosen for the allowed drop, for each safety that methods have."""
    whole = float(rest.standalone_cost[-1])
    held = {row.policy: replay(rest, row) for row in table}
    cost = np.array([held[row.policy].cost / whole for row in table])
    score = np.array([held[row.policy].score for row in table])
    preference = np.array(table.preferences)
    chosen = {}
    for safety in {method.safety for method in METHODS}:
        one = held[table.choose(max_drop=options.max_drop, safety=safety).policy]
        chosen[str(safety)] = {"drop": float(rest.mean_score[-1]) - one.score, "cost": one.cost / whole}
    order = np.argsort(cost, kind="stable")
    return {
        "score_at": np.interp(SHARES, cost[order], score[order]).tolist(),
        "chosen": chosen,
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
        "gain": [float(gain.mean()), *interval(gain, 0.95)],
        "objective_change": [float(extra.mean()), *interval(extra, 0.99)],
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=("cifar10_experts", "imagenet_experts"), help="both by default")
    parser.add_argument(
        "--records", type=Path, default=Path("runs/honesty"), help="folder of imagenet_experts' records"
    )
    parser.add_argument(
        "--detection", type=Path, default=Path("runs/digits_detection"), help="folder of a run of digits_detection"
    )
    parser.add_argument("--splits", type=int, default=20, help="random draws of each size, at least 2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 248, 500, 1000, 2400])
    parser.add_argument(
        "--size",
        type=int,
        nargs=3,
        default=[20, 1_281_167, 101],
        help="experts, samples and preferences",
    )
    parser.add_argument("--parts", type=Path, default=Path("runs/quality"), help="folder of what was measured")
    parser.add_argument("--written", action="store_true", help="measure nothing: write what is in --parts")
    parser.add_argument(
        "--only", choices=("search", "signals", "fusion", "promises", "detection", "polish", "shift", "size")
    )
    parser.add_argument("--max-drop", type=float, default=0.01)
    parser.add_argument("--preferences", type=int, default=26, help="from 0.5 to 1")
    parser.add_argument("--out", type=Path, default=ROOT)
    options = parser.parse_args()
    options.preferences = np.linspace(0.5, 1, options.preferences).round(6).tolist()
    return options


if __name__ == "__main__":
    main()
