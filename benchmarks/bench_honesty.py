"""What fitted policies are worth on samples that they were not fitted on: plain, regularised and promised ones.

Records are split in random halves: policies are fitted on one and reported on the other. A promised policy only has the
same half: it is fitted on one half of it and tested on the other. Writes honesty.json and honesty.md beside
this file.

    python benchmarks/bench_honesty.py --records imagenet_sample=FOLDER --records cifar10_test=FOLDER

FOLDER is what `orxe record` wrote. The one called imagenet_sample is recorded first if it is not there: the eight
experts of imagenet_experts on imagenet_sample, both from the data folder (ORXE_DATA, or ../shared/data beside
the repository). It takes a few minutes on a CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from honesty_markdown import to_markdown
from recorded_data import described, record_imagenet

from orxe_plugins import Policy, PolicyTable, Records, fit_policies, replay
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.intervals import bootstrap
from orxe_plugins.records import load_records
from orxe_plugins.search.pareto import with_choices
from orxe_plugins.search.promise import with_promises

ROOT = Path(__file__).resolve().parent
OWN = "imagenet_sample"
#: (fitting half, allowed drop) -> the policy that is chosen; None if there is none
Method = Callable[[Records, float], Policy | None]


def main() -> None:
    """Measure, print the tables, and write them."""
    options = _options()
    result: dict[str, Any] = {
        "settings": {
            "splits": options.splits, "max_drops": options.max_drops, "preferences": options.preferences,
            "confidence": options.confidence,
        },
        "data": {},
    }  # fmt: skip
    for name, folder in options.records:
        if name == OWN:
            record_imagenet(folder)
        start = time.perf_counter()
        result["data"][name] = measure(load_records(folder), options)
        result["data"][name]["seconds"] = round(time.perf_counter() - start)
    text = to_markdown(result)
    print(text)
    (options.out / "honesty.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.out / "honesty.md").write_text(text)


def measure(records: Records, options: argparse.Namespace) -> dict[str, Any]:
    """Every method at every allowed drop, over all splits."""
    tables = Tables(options.confidence, options.preferences)
    rows = []
    for max_drop in options.max_drops:
        for name, method in tables.methods().items():
            rows.append({"method": name, "max_drop": max_drop, **_over_splits(records, method, max_drop, options)})
    return described(records, rows)


class Tables:
    """The methods; tables that were fitted on a half are kept, as several of them share one."""

    def __init__(self, confidence: float, preferences: int) -> None:
        self.confidence, self.preferences = confidence, np.linspace(0, 1, preferences)
        self._kept: dict[tuple[str, str], PolicyTable] = {}

    def methods(self) -> dict[str, Method]:
        """What is compared, in the order of the table."""
        return {
            "plain argmin": lambda fit, drop: _plainly(self.fit("plain", fit), drop),
            "plain, Pareto set": lambda fit, drop: _plainly(self.fit("pareto", fit), drop),
            "min_exits=10": lambda fit, drop: _plainly(self.fit("exits", fit, min_exits=10), drop),
            "alpha=2, beta=0.2": lambda fit, drop: _plainly(self.fit("ab", fit, alpha=2.0, beta=0.2), drop),
            f"promised, {100 * self.confidence:g} %": self.promised,
        }

    def fit(self, kind: str, fit: Records, **regulariser: float) -> PolicyTable:
        """A table for all preferences."""
        key = (kind, str(hash(tuple(fit.sample_ids.tolist()))))
        if key not in self._kept:
            if kind == "pareto":
                self._kept[key] = with_choices(self.fit("plain", fit), fit, max_samples=2048, expansions=64)
            else:
                self._kept[key] = fit_policies(fit, self.preferences, scores="raw", **regulariser)  # type: ignore[arg-type]
        return self._kept[key]

    def promised(self, half: Records, max_drop: float) -> Policy | None:
        """Fitted on one half of the half, tested on the other."""
        fit, choose = half.split(0.5, seed=1)
        table = self.fit("pareto", fit)
        tested = with_promises(table, choose, [(max_drop, self.confidence)])
        try:
            return tested.choose(max_drop=max_drop, confidence=self.confidence).policy
        except OrxeError:
            return None


def _plainly(table: PolicyTable, max_drop: float) -> Policy:
    """The cheapest policy whose recorded drop is allowed."""
    return table.choose(max_drop=max_drop, safety=0).policy


def _over_splits(records: Records, method: Method, max_drop: float, options: argparse.Namespace) -> dict[str, Any]:
    """Means over the splits; the interval of the held-out drop is a bootstrap over samples."""
    kept = {name: [] for name in ("fit_drop", "drop", "cost", "policies")}  # type: ignore[var-annotated]
    total, seen = np.zeros(len(records)), np.zeros(len(records))
    place = {sample: i for i, sample in enumerate(records.sample_ids.tolist())}
    made = 0
    for fit, report in _halves(records, options.splits):
        policy = method(fit, max_drop)
        made += policy is not None
        policy = policy or Policy.never(records.n_experts)
        held = replay(report, policy)
        drop = report.score[-1].astype(float) - held.sample_score
        index = [place[sample] for sample in report.sample_ids.tolist()]
        total[index] += drop
        seen[index] += 1
        kept["fit_drop"].append(float(fit.mean_score[-1]) - replay(fit, policy).score)
        kept["drop"].append(float(drop.mean()))
        kept["cost"].append(held.cost / float(report.standalone_cost[-1]))
    used = seen > 0
    drawn = bootstrap([total[used] / seen[used]])
    mean = {name: float(np.mean(values)) for name, values in kept.items() if values}
    return {
        **mean,
        "drop_low": float(drawn.low[0]),
        "drop_high": float(drawn.high[0]),
        "drop_of_splits": kept["drop"],
        "cost_of_splits": kept["cost"],
        "splits_above": int(np.sum(np.array(kept["drop"]) > max_drop + 1e-12)),
        "policies_found": made,
    }


def _halves(records: Records, count: int) -> Iterator[tuple[Records, Records]]:
    for seed in range(count):
        yield records.split(0.5, seed=seed)


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=FOLDER, such as {OWN}=runs/honesty")
    return name, Path(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=_named_folder, action="append", metavar="NAME=FOLDER", help="may come again")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--preferences", type=int, default=21, help="from 0 to 1")
    parser.add_argument("--max-drops", type=float, nargs="+", default=[0.005, 0.01, 0.02, 0.05])
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--out", type=Path, default=ROOT)
    options = parser.parse_args()
    options.records = options.records or [(OWN, Path("runs/honesty"))]
    return options


if __name__ == "__main__":
    main()
