"""The fourth step: the confidences that the cascade will have, in place of the recorded ones where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.records.records import Records
from orxe_plugins.records.signals import fit_signals, with_signals
from orxe_plugins.records.temperature import fit_temperatures, with_temperatures
from orxe_plugins.run.recipe import Gates
from orxe_plugins.run.recording import places, unlabelled_place
from orxe_plugins.run.run import Run
from orxe_plugins.run.splits import Splits
from orxe_plugins.training.gate import GateSettings
from orxe_plugins.training.gate_files import GateFiles, train_gates, with_gates


@dataclass(frozen=True, eq=False)
class Pool:
    """What the search chooses from.

    Attributes:
        splits: the recorded samples, with the confidences that the cascade will have.
        specs: the experts with those confidences, by name.
    """

    splits: Splits
    specs: Mapping[str, ExpertSpec]


def with_confidences(run: Run, splits: Splits) -> Pool:
    """The pool with trained gates, fitted temperatures or chosen confidences, if the recipe asks for them.

    Args:
        run: the run.
        splits: as recorded.
    """
    specs = dict(zip(run.names, run.specs, strict=True))
    if run.recipe.gates is not None:
        gates = train_run_gates(run, splits)
        splits = with_gate_confidences(run, splits, gates)
        specs = {n: replace(spec, confidence=gates.confidence(n) or spec.confidence) for n, spec in specs.items()}
    if run.recipe.fits_temperature:
        temperatures = fit_temperatures(splits.fit)
        splits = splits.map(lambda records: with_temperatures(records, temperatures))
        fitted = splits.fit.details["confidence"]
        specs = {name: replace(spec, confidence=fitted[name]) for name, spec in specs.items()}
    if run.recipe.chooses_confidence:
        chosen = {name: signal.options for name, signal in fit_signals(splits.fit).items()}
        changed = {name: each for name, each in chosen.items() if each != splits.fit.details["confidence"][name]}
        splits = splits.map(lambda records: with_signals(records, changed))
        specs = {name: replace(spec, confidence=changed.get(name, spec.confidence)) for name, spec in specs.items()}
    return Pool(splits, specs)


def train_run_gates(run: Run, splits: Splits) -> GateFiles:
    """Train the ranking gates that the recipe asks for; a gate that was trained on these records already is kept.

    Raises:
        OrxeError: the recipe has no gates.
    """
    settings = check_gates(run)
    assert splits.gate is not None
    names = list(splits.gate.names[:-1]) if settings.experts is None else settings.experts
    return train_gates(
        splits.gate,
        places(run)[0].folder,
        names,
        GateSettings(**settings.model_dump(exclude={"experts", "share"})),
        run.task.gate_summary,
        run.cascade_folder / "gates",
        run.progress,
    )


def check_gates(run: Run) -> Gates:
    """The recipe's settings of gates.

    Raises:
        OrxeError: it has none.
    """
    if run.recipe.gates is None:
        raise OrxeError(f"recipe {run.recipe.name!r} has no gates: add `gates: {{}}` to it, or gates.share=0.5")
    return run.recipe.gates


def with_gate_confidences(run: Run, splits: Splits, gates: GateFiles) -> Splits:
    """The splits with the gates' confidences and costs in place of the experts' own."""
    fit, report = (place.folder for place in places(run))
    # Augmented samples have features of their own, and so do those of another data folder.
    choose = report if run.recipe.data.report_root is None else fit
    parts = [(fit, splits.fit), (report, splits.report)]
    if splits.choose is not None:
        parts.append((choose, splits.choose))
    other = unlabelled_place(run)
    if splits.unlabelled is not None and other is not None:
        parts.append((other.folder, splits.unlabelled))
    gated = iter(_gated(parts, gates))
    return replace(
        splits, fit=next(gated), report=next(gated), choose=None if splits.choose is None else next(gated),
        unlabelled=next(gated, None),
    )  # fmt: skip


def _gated(parts: Sequence[tuple[Path, Records]], gates: GateFiles) -> list[Records]:
    """Some records with their gates' confidences; those of one folder are read together."""
    gated = [records for _, records in parts]
    for folder in dict.fromkeys(folder for folder, _ in parts):
        here = [i for i, (place, _) in enumerate(parts) if place == folder]
        for i, records in zip(here, with_gates([gated[i] for i in here], folder, gates), strict=True):
            gated[i] = records
    return gated
