"""Ranking gates of a run: trained on recorded features, saved in the cascade's folder, put into records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from orxe_plugins.confidence.gate import RankingGate, save_gate
from orxe_plugins.experts.fingerprint import fingerprint_of
from orxe_plugins.records.loading import load_gate_inputs
from orxe_plugins.records.records import Records
from orxe_plugins.training.gate import GateSettings, fit_gate
from orxe_plugins.util.files import safe_name, write_json
from orxe_plugins.util.json_files import checked, read_json
from orxe_plugins.util.progress import Progress

_INDEX = "gates.json"


@dataclass(frozen=True)
class GateFiles:
    """Trained gates on disk.

    Attributes:
        files: expert's name -> file.
    """

    files: Mapping[str, Path]

    def confidence(self, expert: str) -> dict[str, Any] | None:
        """How a spec names the expert's gate; None if it has none."""
        return {"kind": RankingGate.kind, "file": str(self.files[expert])} if expert in self.files else None


def train_gates(
    records: Records,
    folder: Path,
    experts: Sequence[str],
    settings: GateSettings,
    summary: str,
    out: Path,
    progress: Progress | None = None,
) -> GateFiles:
    """Train one gate for each expert on these records alone.

    A gate in ``out`` that was trained on the same records with the same settings is kept.

    Args:
        records: the samples to train on; no other sample is read.
        folder: the records folder that holds their features.
        experts: names of the experts.
        settings: how to train.
        summary: what gates see of an output.
        out: folder of the gates.
        progress: receives every epoch.
    """
    files = {}
    index = _read_index(out)
    for name in experts:
        i = records.index(name)
        inputs = load_gate_inputs(folder, name, records.sample_ids)
        mark = fingerprint_of(
            {
                "settings": asdict(settings),
                "summary": summary,
                "samples": records.sample_ids.tolist(),
                "score": records.score[i].tolist(),
                "expert": records.details.get("fingerprints", {}).get(name),
            }
        )
        place = len([n for n in index if n != name])
        entry = index.get(name) or {"file": f"gate-{place}-{safe_name(name, 60)}.safetensors", "mark": None}
        file = out / entry["file"]
        if entry["mark"] != mark or not file.is_file():
            net = fit_gate(inputs, records.score[i], float(records.cost[i]), settings, progress, f"gate of {name}")
            save_gate(net, summary, file)
            index[name] = {"file": entry["file"], "mark": mark}
            write_json(out / _INDEX, index)
        files[name] = file
    return GateFiles(files)


def with_gates(parts: Sequence[Records], folder: Path, gates: GateFiles) -> tuple[Records, ...]:
    """Records with the gates' confidences in place of the experts' own; what a gate costs is added.

    Args:
        parts: samples of one records folder, such as its splits. Each expert's features are read once for all.
        folder: that folder, which holds their features.
        gates: what :func:`train_gates` gave.
    """
    ids = [sample for records in parts for sample in records.sample_ids]
    ends = np.cumsum([len(records) for records in parts])[:-1]
    gated = list(parts)
    for name, file in gates.files.items():
        gate = RankingGate(file)
        inputs = np.split(load_gate_inputs(folder, name, ids), ends)
        gated = [_with_gate(records, name, gate, rows) for records, rows in zip(gated, inputs, strict=True)]
    return tuple(gated)


def _with_gate(records: Records, name: str, gate: RankingGate, inputs: np.ndarray) -> Records:
    """Records with one expert's confidence and cost as its gate makes them."""
    i = records.index(name)
    confidence, cost = records.confidence.copy(), records.cost.copy()
    confidence[i] = gate_confidence(gate, inputs)
    cost[i] += gate.gmacs
    kinds = {**records.details.get("confidence", {}), name: gate.to_dict()}
    return replace(records, confidence=confidence, cost=cost, details={**records.details, "confidence": kinds})


@torch.inference_mode()
def gate_confidence(gate: RankingGate, inputs: np.ndarray) -> np.ndarray:
    """Confidence (M,) of recorded inputs (M, D)."""
    return gate.confidence(torch.from_numpy(np.ascontiguousarray(inputs))).numpy()


def _read_index(out: Path) -> dict[str, dict[str, Any]]:
    path = out / _INDEX
    if not path.is_file():
        return {}
    return dict(checked(_Index, {"gates": read_json(path)}, str(path)).model_dump()["gates"])


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    #: a name alone: what a file says must not lead out of the folder
    file: str = Field(pattern=r"^[^/\\]+$")
    mark: str | None = None


class _Index(BaseModel):
    gates: dict[str, _Entry]
