"""Write the files of a run of release 0.1.0, for tests: run this in a checkout of that release.

``PYTHONPATH=.:adapters python make_0_1_0.py FOLDER`` makes three tiny models with random weights and 45 images, runs a
recipe on them, and keeps what the release wrote, without weights and images. ``expected.json`` is what it says of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
import yaml
from PIL import Image

KEPT = ("records", "cascade", "report/report.json", "report/policies.csv")


def write_recipe(folder: Path) -> Path:
    """Images of three classes, weights of three models, and the recipe."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("ant", "bee", "cat")):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(15):
            coarse = rng.integers(0, 180, size=(3, 3, 3), dtype=np.uint8) + np.uint8(30 * number)
            Image.fromarray(coarse).resize((40, 48)).save(folder / "images" / name / f"{i:02d}.png")
    experts = []
    for name, model in (("small", "test_efficientnet"), ("medium", "test_resnet"), ("large", "test_resnet")):
        torch.manual_seed(len(name))
        module = timm.create_model(model, num_classes=3)
        module.get_classifier().weight.data.mul_(30)
        torch.save(module.state_dict(), folder / f"{name}.pth")
        options = {"num_classes": 3, "input_size": 48 if name == "large" else 32}
        experts.append({"name": name, "address": f"timm:{model}", "checkpoint": f"{{recipe}}/{name}.pth",
                        "options": options})  # fmt: skip
    recipe = {
        "name": "tiny", "data": {"root": "{recipe}/images", "split": {"fit": 0.6, "seed": 1}}, "experts": experts,
        "preferences": {"step": 0.25}, "record": {"batch_size": 16, "shard_size": 32},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


def expected(out: Path) -> dict[str, object]:
    """What the release reads of its own files: each row's policy, and which expert answers which sample under it."""
    from orxe_plugins.cascade_file import read_cascade

    from orxe_plugins.records import load_records
    from orxe_plugins.search import replay

    records, file = load_records(out / "records"), read_cascade(out / "cascade")
    records = records.experts([spec.name or spec.address for spec in file.specs])
    rows = []
    for row in file.table.rows:
        outcome = replay(records, row.policy)
        rows.append({
            "preference": row.preference, "exit": row.policy.exit_thresholds, "skip": row.policy.skip_thresholds,
            "cost": row.cost, "score": row.score, "replayed_cost": outcome.cost, "replayed_score": outcome.score,
            "expert": outcome.expert.tolist(),
        })  # fmt: skip
    return {
        "names": list(records.names), "cost": list(map(float, records.cost)), "samples": list(records.sample_ids),
        "confidence": records.confidence.tolist(), "score": records.score.tolist(), "rows": rows,
        "at": {f"{p / 20:.2f}": file.table.at(p / 20).policy.exit_thresholds for p in range(21)},
    }  # fmt: skip


def main(place: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        recipe, out = write_recipe(Path(scratch) / "tiny"), Path(scratch) / "tiny" / "out"
        command = [sys.executable, "-m", "orxe_plugins.cli", "run", str(recipe), "--out", str(out)]
        subprocess.run(command, check=True)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in KEPT:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (out / name).is_dir() else shutil.copy)(out / name, place / name)
        (place / "expected.json").write_text(json.dumps(expected(out)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
