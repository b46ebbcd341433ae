"""The last step before a report: read the cascade that the search wrote, and the records as it sees them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from orxe_plugins.cascade.file import FILE_NAME, CascadeFile, read_cascade, same_sources
from orxe_plugins.confidence.gate import RankingGate
from orxe_plugins.confidence.provider import confidence_from_dict
from orxe_plugins.errors import OrxeError, OrxeWarning, shortened
from orxe_plugins.experts.checkpoints import is_package
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.records.records import Records
from orxe_plugins.records.signals import with_signals
from orxe_plugins.records.temperature import with_temperatures
from orxe_plugins.run.confidences import with_gate_confidences
from orxe_plugins.run.run import Run
from orxe_plugins.run.searching import ASKED_FILE, Fitted, asked_of
from orxe_plugins.run.splits import Splits, splits_of
from orxe_plugins.training.gate_files import GateFiles
from orxe_plugins.util.json_files import read_json

_WAY_OUT = "run `orxe search` with the same recipe, --out folder and changed values first"


def read_fitted(run: Run) -> Fitted:
    """What :func:`~orxe_plugins.run.searching.search` gave, out of the output folder: nothing is searched or written.

    Raises:
        OrxeError: there is no cascade, or it was fitted on other records.
    """
    if not (run.cascade_folder / FILE_NAME).is_file():
        raise OrxeError(f"{run.cascade_folder} holds no cascade: run `orxe search` or `orxe run` first")
    file = read_cascade(run.cascade_folder, trust=run.trust, trust_changed=run.trust_changed)
    _warn_of_other_settings(run)
    splits = splits_of(run)
    _check_fitted_on(run, file, splits)
    splits = _with_confidences_of(run, file, splits)
    known = dict(zip(run.names, run.specs, strict=True))
    file = replace(file, specs=tuple(_own(spec, known[str(spec.name)], run.cascade_folder) for spec in file.specs))
    return Fitted(file, splits.map(lambda records: _with_experts_of(file, records)))


def _warn_of_other_settings(run: Run) -> None:
    """Warn where the recipe asks for another search than the one that wrote the cascade."""
    path = run.cascade_folder / ASKED_FILE
    if not path.is_file():
        return  # version 0.1 did not write it
    there, here = read_json(path), asked_of(run.recipe)
    if not isinstance(there, dict):
        raise OrxeError(f"{path} holds {shortened(there)}: expected keys of a recipe; {_WAY_OUT}")
    changed = [
        f"{key} {there[key]!r}, now {key} {here[key]!r}" for key in here if there.get(key, here[key]) != here[key]
    ]
    if changed:
        warnings.warn(
            f"{run.cascade_folder} was searched with {'; '.join(changed)}: the report is about the cascade as it was "
            "searched. To change it, run `orxe search`",
            OrxeWarning,
            stacklevel=3,
        )


def _check_fitted_on(run: Run, file: CascadeFile, splits: Splits) -> None:
    """Raise unless the cascade was fitted on the fitting split of the records that are here now."""
    if file.task != run.recipe.task:
        raise OrxeError(f"{run.cascade_folder} is a cascade for {file.task}, but the recipe is for {run.recipe.task}")
    names = [str(spec.name) for spec in file.specs]
    missing = [name for name in names if name not in splits.fit.names]
    if missing:
        raise OrxeError(f"{run.cascade_folder} has an expert {missing[0]!r} that the recipe does not name: {_WAY_OUT}")
    details = file.table.details
    here = {"split": run.recipe.described_split(), **_facts(splits.fit.details, names)}
    there = {"split": details.get("split", here["split"]), **_facts(details.get("fitted_on", {}), names)}
    for key, value in there.items():
        if value != here.get(key):
            raise OrxeError(
                f"{run.cascade_folder} was fitted with {key} {value!r}, but here is {here.get(key)!r}: {_WAY_OUT}"
            )
    if file.table.n_samples not in (0, len(splits.fit)):
        raise OrxeError(
            f"{run.cascade_folder} was fitted on {file.table.n_samples} samples, but the fitting split has "
            f"{len(splits.fit)} now: {_WAY_OUT}"
        )


def _facts(details: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Which samples and experts some records are of, as far as their details say it, as JSON values."""
    facts = {key: details[key] for key in ("path", "augment", "input_view") if key in details}
    if "dataset" in details:
        facts["data set of fingerprint"] = details["dataset"]["fingerprint"][:12]
        if "contents" in details["dataset"]:
            facts["images of fingerprint"] = details["dataset"]["contents"][:12]
    for name in names:
        if name in details.get("fingerprints", {}):
            facts[f"an expert {name!r} of fingerprint"] = details["fingerprints"][name][:12]
    return json.loads(json.dumps(facts))


def _with_confidences_of(run: Run, file: CascadeFile, splits: Splits) -> Splits:
    """The splits with the gates and temperatures of the cascade's experts."""
    wanted = {str(spec.name): dict(spec.confidence) for spec in file.specs if spec.confidence is not None}
    gates = {name: Path(options["file"]) for name, options in wanted.items() if options["kind"] == RankingGate.kind}
    if gates:
        return with_gate_confidences(run, splits, GateFiles(gates))
    names = [str(spec.name) for spec in file.specs]
    recorded = {name: _normal(splits.fit.details["confidence"][name]) for name in names}
    fitted = {name: _normal(wanted[name]) if name in wanted else recorded[name] for name in names}
    made = {name: fitted[name] for name in names if fitted[name]["kind"] != recorded[name]["kind"]}
    if made and run.recipe.chooses_confidence:
        return splits.map(lambda records: with_signals(records.experts(names), made))
    for name in names:
        # A temperature can be changed in what was recorded, nothing else.
        if {**fitted[name], "temperature": None} != {**recorded[name], "temperature": None}:
            raise OrxeError(
                f"{run.cascade_folder} was fitted with confidence {fitted[name]} of expert {name!r}, but the records "
                f"hold {recorded[name]}: {_WAY_OUT}"
            )
    if fitted == recorded:
        return splits
    temperatures = {name: float(options.get("temperature", 1.0)) for name, options in fitted.items()}
    return splits.map(lambda records: with_temperatures(records.experts(names), temperatures))


def _normal(options: Mapping[str, Any]) -> dict[str, Any]:
    """A confidence without options that are at their defaults."""
    return confidence_from_dict(dict(options)).to_dict()


def _own(spec: ExpertSpec, here: ExpertSpec, folder: Path) -> ExpertSpec:
    """The spec with its files, and trusted if it builds what the recipe names, which the user named."""
    spec = _with_files(spec, here)
    return replace(spec, origin=here.origin) if same_sources(spec, here, folder) else spec


def _with_files(spec: ExpertSpec, here: ExpertSpec) -> ExpertSpec:
    """The spec with the files of the recipe's, if its own are gone: a moved folder may not hold the weights."""
    file = spec.checkpoint
    if file is None or is_package(file) or Path(file).exists():
        return spec
    return replace(spec, checkpoint=here.checkpoint, options=here.options)


def _with_experts_of(file: CascadeFile, records: Records) -> Records:
    """The records of the cascade's experts, in its order and with its costs."""
    kept = records.experts([str(spec.name) for spec in file.specs])
    known = [own if spec.cost is None else spec.cost for spec, own in zip(file.specs, kept.cost, strict=True)]
    unit = file.table.cost_unit
    shared = kept.shared_cost if unit == kept.cost_unit else np.array([spec.shared_cost for spec in file.specs])
    return replace(kept, cost=np.array(known, dtype=np.float64), shared_cost=shared, cost_unit=unit)
