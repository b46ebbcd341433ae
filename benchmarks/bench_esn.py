"""Exits on CIFAR-10: saver and base, the same with an Exit Sequence Network, and the base with plain exits.

    python benchmarks/bench_esn.py --data FOLDER

FOLDER holds train/CLASS/ and test/CLASS/. Models and exits are trained once, by the recipe cifar10_esn, and kept in the
run's folder. Thresholds are fitted on training images that nothing was trained on; all figures are of the test images.
Writes cifar10_esn.md and cifar10_esn.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cli.console import bars
from orxe_plugins.evaluation.intervals import Bootstrap, bootstrap
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records import Records
from orxe_plugins.report.theme import LIGHT, new_figure, save_figure, styled
from orxe_plugins.run.preparing import prepare
from orxe_plugins.run.recipe import Recipe
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import samples_of
from orxe_plugins.run.splits import splits_of
from orxe_plugins.search import fit_policies, replay
from orxe_plugins.util.files import write_text

PREFERENCES = [round(0.02 * i, 2) for i in range(51)]
#: where systems are compared, as shares of the base's cost
SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DROPS = (0.01, 0.005, 0.001, 0.0)
SAVER, ESN, PLAIN = "saver + base", "saver + ESN + base", "base with plain exits"
COLOURS = {SAVER: "#0072b2", ESN: "#d55e00", PLAIN: "#009e73"}


@dataclass(frozen=True, eq=False)
class System:
    """One cascade: its policies, and what became of the test images under each of them.

    Attributes:
        name: what tables call it.
        table: policies of the fitting split.
        report: test records of its experts.
        cost: GMACs of each image under each policy, (P, M).
        score: 1 where the answer is right, (P, M).
    """

    name: str
    table: PolicyTable
    report: Records
    cost: np.ndarray
    score: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CIFAR-10 as image files: train/CLASS/ and test/CLASS/")
    parser.add_argument("--run", type=Path, default=Path("runs/cifar10_esn"), help="folder of models and records")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"), help="where the table and picture go")
    given = parser.parse_args()
    recipe = with_plain_exits(load_recipe("cifar10_esn", out=given.run, data=given.data), given.run)
    with bars() as progress:
        run = Run(recipe, given.run, progress)
        prepare(run)
        recorded = record_pool(run)
    splits = splits_of(run, recorded)
    exits = [name for name in splits.fit.names if name.startswith("exit-")]
    plain = [name for name in splits.fit.names if name.startswith("plain-")]
    pools = {SAVER: ["saver", "base"], ESN: ["saver", *exits, "base"], PLAIN: [*plain, "base"]}
    systems = [system_of(name, splits.fit.experts(pool), splits.report.experts(pool)) for name, pool in pools.items()]
    drawn = Drawn(systems)
    given.out.mkdir(parents=True, exist_ok=True)
    draw(systems, drawn, splits.report, given.out / "cifar10_esn.png")
    paths = [measured(run, system) for system in systems]
    write_text(given.out / "cifar10_esn.md", markdown(systems, drawn, splits.fit, splits.report, sum(paths)))


def with_plain_exits(recipe: Recipe, out: Path) -> Recipe:
    """The recipe with a plain exit beside every exit of the ESN."""
    plain = []
    for spec in recipe.experts:
        if "esn" in spec.options:
            options = {key: value for key, value in spec.options.items() if key != "saver"}
            options["esn"] = str(out / "experts" / "plain.safetensors")
            plain.append(replace(spec, name=str(spec.name).replace("exit-", "plain-"), options=options))
    return recipe.model_copy(update={"experts": [*recipe.experts, *plain]})


def system_of(name: str, fit: Records, report: Records) -> System:
    """Fit policies on one split and replay them on the other."""
    table = fit_policies(fit, PREFERENCES)
    outcomes = [replay(report, row.policy) for row in table.offered]
    cost = np.stack([outcome.sample_cost for outcome in outcomes])
    return System(name, table, report, cost, np.stack([outcome.sample_score for outcome in outcomes]))


def measured(run: Run, system: System, n_images: int = 500) -> int:
    """Compare counted with measured operations on one test image for each path that some images take.

    Returns:
        The number of paths. They all agree, or this raises.
    """
    specs = {spec.name: spec for spec in run.specs}
    cascade = Cascade([load_expert(specs[name]) for name in system.report.names], system.table.rows[0].policy)
    dataset = samples_of(run, system.report.samples(slice(n_images)))
    images = [dataset.load(i) for i in range(len(dataset))]
    # The policy under which the experts share the work most evenly.
    cascade.policy = max(
        (row.policy for row in system.table.rows), key=lambda p: replay(system.report, p).exit_share.min()
    )
    with torch.inference_mode():
        cascade.cost_range()
        _, route = cascade.route(images)
        paths = {tuple(ran): i for i, ran in enumerate(route.ran.tolist())}
        for i in paths.values():
            with FlopCounterMode(display=False) as counter:
                cascade([images[i]])
            counted = round(2e9 * float(route.cost[i]))
            if counter.get_total_flops() != counted:
                raise SystemExit(f"{system.name}: counted {counted} FLOPs, measured {counter.get_total_flops()}")
    return len(paths)


class Drawn:
    """Mean cost and accuracy of every policy of every system, and of paired resamples of the test images."""

    def __init__(self, systems: Sequence[System]) -> None:
        base = systems[0].report.index("base")
        base_score = systems[0].report.score[base].astype(np.float64)
        series = [base_score, *(row for system in systems for part in (system.cost, system.score) for row in part)]
        self.all: Bootstrap = bootstrap(series)
        self.base_cost = float(systems[0].report.standalone_cost[base])
        self._places, start = {}, 1
        for system in systems:
            n = len(system.cost)
            self._places[system.name] = (slice(start, start + n), slice(start + n, start + 2 * n))
            start += 2 * n

    def at(self, system: str, cost: float) -> np.ndarray:
        """Accuracy at a cost on the test images themselves and on each resample, (1 + n,).

        Between two policies, images are routed by one or the other at random: the line between them. Below the
        cheapest policy there is nothing: NaN.
        """
        costs, scores = self._places[system]
        rows = np.vstack([self.all.mean, self.all.draws])
        return np.array([interpolated(row[costs], row[scores], cost) for row in rows])

    def points(self, system: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean cost and accuracy of its policies, by rising cost."""
        costs, scores = (self.all.mean[place] for place in self._places[system])
        order = np.argsort(costs, kind="stable")
        return costs[order], scores[order]

    def base(self) -> np.ndarray:
        """Accuracy of the base alone, (1 + n,)."""
        return np.append(self.all.mean[0], self.all.draws[:, 0])


def interpolated(cost: np.ndarray, score: np.ndarray, at: float) -> float:
    """The score at a cost on the line through policies; beyond the costliest one, that one's."""
    order = np.argsort(cost, kind="stable")
    return float(np.interp(at, cost[order], score[order], left=np.nan))


def interval(values: np.ndarray, scale: float = 100) -> str:
    """The first value with the 95 % interval of the others, in points."""
    if np.isnan(values[0]) or np.isnan(values).mean() > 0.025:
        return ""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return f"{scale * values[0]:.2f} ({scale * low:.2f} to {scale * high:.2f})"


def draw(systems: Sequence[System], drawn: Drawn, report: Records, path: Path) -> None:
    """Accuracy against cost of the three systems, with intervals, and each expert alone."""
    grid = np.linspace(0, drawn.base_cost, 60)
    with styled(LIGHT):
        figure = new_figure(8, 4.6)
        axes = figure.add_subplot()
        for system in systems:
            colour = COLOURS[system.name]
            cost, score = drawn.points(system.name)
            axes.plot(1e3 * cost, 100 * score, color=colour, label=system.name)
            values = np.stack([drawn.at(system.name, float(at)) for at in grid])  # (G, 1 + n)
            seen = ~np.isnan(values).any(axis=1)
            low, high = np.quantile(values[seen, 1:], [0.025, 0.975], axis=1)
            axes.fill_between(1e3 * grid[seen], 100 * low, 100 * high, color=colour, alpha=0.12, linewidth=0)
        for name, cost, score in zip(report.names, report.standalone_cost, report.mean_score, strict=True):
            colour = {"e": COLOURS[ESN], "p": COLOURS[PLAIN]}.get(name[0], LIGHT.muted)
            axes.plot(1e3 * cost, 100 * score, "o", color=colour, markersize=4)
            axes.annotate(name, (1e3 * cost, 100 * score), (4, -9), textcoords="offset points", fontsize=7.5)
        axes.set_xlabel("million multiply-accumulates per image")
        axes.set_ylabel("top-1 accuracy, %")
        axes.set_title(
            f"CIFAR-10, {len(report):,} test images; bands: 95 %, bootstrap; dots: one expert answers everything"
        )
        axes.legend(loc="lower right")
    save_figure(figure, path, LIGHT)


def markdown(systems: Sequence[System], drawn: Drawn, fit: Records, report: Records, n_paths: int) -> str:
    """All figures as Markdown."""
    lines = [
        "# Exits on CIFAR-10",
        "",
        "Made by `python benchmarks/bench_esn.py --data FOLDER`. Thresholds were fitted on "
        f"{len(fit):,} training images that no model was trained on; all figures are of the {len(report):,} test "
        "images. 1 MAC = 2 FLOPs. Intervals: 95 %, paired bootstrap over test images, 2,000 draws. Costs are counted; "
        f"on one image for each of {n_paths} paths through the systems, torch's FlopCounterMode measured the same.",
        "",
        "![accuracy against cost](cifar10_esn.png)",
        "",
        "## Experts alone",
        "",
        "| expert | million MACs | top-1 % |",
        "|---|---|---|",
    ]
    alone = bootstrap(report.score.astype(np.float64))
    for i, name in enumerate(report.names):
        values = np.append(alone.mean[i], alone.draws[:, i])
        lines.append(f"| {name} | {1e3 * report.standalone_cost[i]:.2f} | {interval(values)} |")
    lines += ["", "## At equal cost", "", "Top-1 %, and differences in points.", ""]
    lines += ["| cost | million MACs | " + " | ".join(COLOURS) + f" | ESN minus {SAVER} | ESN minus plain exits |"]
    lines += ["|---" * 7 + "|"]
    for share in SHARES:
        cost = share * drawn.base_cost
        at = {system.name: drawn.at(system.name, cost) for system in systems}
        cells = [f"{share:.0%}", f"{1e3 * cost:.2f}", *(interval(at[name]) for name in COLOURS)]
        cells += [interval(at[ESN] - at[SAVER]), interval(at[ESN] - at[PLAIN])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Cost at an allowed drop", ""]
    lines += [
        "The cheapest policy that loses at most so much on the fitting split, as in TinySaver's Tables 1 and 3: its"
    ]
    lines += ["cost on the test images, and its accuracy there less the base's.", ""]
    lines += [
        "| allowed drop | system | million MACs | against the base | difference to the base, points | answered by |"
    ]
    lines += ["|---" * 6 + "|"]
    for drop in DROPS:
        lines += [allowed(system, drop, drawn.base_cost) for system in systems]
    return "\n".join(lines) + "\n"


def allowed(system: System, drop: float, base_cost: float) -> str:
    """One row of the table of allowed drops."""
    outcome = replay(system.report, system.table.at_max_drop(drop).policy)
    base = system.report.score[-1].astype(np.float64)
    drawn = bootstrap(np.stack([outcome.sample_score - base]))
    shares = ", ".join(
        f"{name} {100 * share:.0f} %" for name, share in zip(system.report.names, outcome.exit_share, strict=True)
    )
    values = np.append(drawn.mean, drawn.draws[:, 0])
    cells = [f"{100 * drop:g} points", system.name, f"{1e3 * outcome.cost:.2f}", f"{outcome.cost / base_cost - 1:+.0%}"]
    return "| " + " | ".join([*cells, interval(values), shares]) + " |"


if __name__ == "__main__":
    main()
