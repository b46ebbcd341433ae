"""Part of bench_quality.py: what figures, promises and warnings are worth on images of another kind."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from quality_draws import draws, summary
from recorded_data import DATA

from orxe_plugins import Records, evaluate, fit_policies, replay
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation import IntervalSettings
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.records import load_records, record
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.search import with_promises
from orxe_plugins.tasks import Classification

EXPERTS = ("mobilenetv1_075_192", "tf_efficientnet_lite2")
SHIFTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "darkened to 25 %": lambda image: ImageEnhance.Brightness(image).enhance(0.25),
    "blurred by 3 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
}
PREFERENCES = np.linspace(0.5, 1, 26).round(6).tolist()
MAX_DROP, PROMISED = 0.01, 0.05


def shift(options: argparse.Namespace) -> dict[str, Any]:
    """Fitted on clean images; reported on other ones, as they are and shifted."""
    if not (DATA / "imagenet_sample").is_dir():
        raise OrxeError(f"{DATA / 'imagenet_sample'} is not there: set ORXE_DATA to the folder of the data")
    kinds = {"as they are": _clean(options.records)}
    for name, change in SHIFTS.items():
        kinds[name] = _recorded(change, options.parts / f"shift-{len(kinds)}")
    clean = kinds["as they are"]
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    warnings: dict[str, set[str]] = {name: set() for name in kinds}
    for fit, rest in draws(len(clean), 165, 20):
        choose, report = rest[::2], rest[1::2]
        table = fit_policies(clean.samples(fit), PREFERENCES)
        row = table.choose(max_drop=MAX_DROP)
        promised = with_promises(table, clean.samples(choose), [(PROMISED, 0.95)]).promises[0].row
        for name, records in kinds.items():
            seen = records.samples(report)
            outcome = replay(seen, row)
            kept = None if promised is None else float(seen.mean_score[-1] - replay(seen, promised).score)
            rows[name].append({
                "expected_drop": table.reference_score - row.score, "drop": float(seen.mean_score[-1]) - outcome.score,
                "cost": outcome.cost / float(seen.standalone_cost[-1]),
                "expected_cost": row.cost / table.reference_cost,
                "last": float(seen.mean_score[-1]), "promised_drop": np.nan if kept is None else kept,
                "confidence": float(seen.confidence[0].mean()),
            })  # fmt: skip
            if len(rows[name]) == 1:
                found = evaluate(table, seen, fitted_on=clean.samples(fit), intervals=IntervalSettings(resamples=200))
                warnings[name] |= set(found.notes)
    return {
        "experts": list(clean.names), "max_drop": MAX_DROP, "promised": PROMISED, "fitted_on": 165,
        "rows": {name: _figures(values) for name, values in rows.items()},
        "warnings": {name: sorted(texts) for name, texts in warnings.items()},
    }  # fmt: skip


def _figures(values: list[dict[str, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        key: summary(np.array([one[key] for one in values])) for key in values[0] if key != "promised_drop"
    }
    kept = np.array([one["promised_drop"] for one in values])
    found["promises"] = int(np.isfinite(kept).sum())
    found["promises_exceeded"] = int((kept > PROMISED).sum())
    return found


def _clean(folder: Path) -> Records:
    if not folder.is_dir():
        raise OrxeError(f"{folder} holds no records: measure imagenet_experts first")
    return load_records(folder, EXPERTS)


def _recorded(change: Callable[[Image.Image], Image.Image], out: Path) -> Records:
    """The same images, changed, under both experts."""
    try:
        return load_records(out, EXPERTS)
    except OrxeError:  # not there, or a recording that was stopped, which goes on
        with tempfile.TemporaryDirectory() as name:
            source = DATA / "imagenet_sample"
            for file in sorted((source / "images").glob("*/*.JPEG")):
                target = Path(name) / "images" / file.parent.name / f"{file.stem}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                change(Image.open(file).convert("RGB")).save(target)
            (Path(name) / "synsets.txt").write_text((source / "synsets.txt").read_text())
            specs = [
                s
                for s in read_experts_file(DATA / "imagenet_experts" / "experts.yaml", trust=True)
                if s.name in EXPERTS
            ]
            record((load_expert(spec) for spec in specs), ImageFolder(name), out, task=Classification())
    return load_records(out, EXPERTS)
