"""What benchmarks that run on records alone have in common: where records come from, and how they are introduced."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orxe_plugins import Records
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records import record
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.tasks import Classification

#: real images, weights and records: see the README of that folder
DATA = Path(os.environ.get("ORXE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))


def record_imagenet(folder: Path) -> None:
    """Record eight ImageNet models on 496 images; what is there already is kept."""
    specs = read_experts_file(DATA / "imagenet_experts" / "experts.yaml", trust=True)
    images = ImageFolder(DATA / "imagenet_sample")
    record((load_expert(spec) for spec in specs), images, folder, task=Classification())


def described(records: Records, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Measured rows, and the records that they were measured on."""
    return {
        "samples": len(records),
        "experts": list(records.names),
        "last": {"cost": float(records.standalone_cost[-1]), "score": float(records.mean_score[-1])},
        "cost_unit": records.cost_unit,
        "rows": rows,
    }


def heading(name: str, data: dict[str, Any]) -> str:
    """The heading of what :func:`described` gave, with its last expert in a sentence."""
    last = data["last"]
    return (
        f"## {name}: {data['samples']:,} samples, {len(data['experts'])} experts\n\n"
        f"The last expert, {data['experts'][-1]}, scores {100 * last['score']:.2f} at "
        f"{last['cost']:.4g} {data['cost_unit']}."
    )
