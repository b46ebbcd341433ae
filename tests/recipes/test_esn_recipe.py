"""The recipe digits_esn from end to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm

import orxe_timm  # noqa: F401
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import samples_of
from orxe_plugins.run.splits import splits_of
from orxe_plugins.search import replay


@pytest.mark.long
def test_exits_answer_some_digits_and_routing_equals_replay(tmp_path: Path) -> None:
    orxe = [sys.executable, "-m", "orxe_plugins.cli"]
    done = subprocess.run([*orxe, "run", "digits_esn", "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "exit-1" in done.stdout
    assert (tmp_path / "report" / "frontier.png").stat().st_size > 10_000
    run = Run(load_recipe("digits_esn", out=tmp_path), tmp_path)
    records = splits_of(run).report
    assert [None if i < 0 else records.names[i] for i in records.needs] == [None, "small", "small", "small", None]
    model = timm.create_model("orxe_metamodel", cascade=str(tmp_path / "cascade"))
    outcomes = [replay(records, row.policy) for row in model.table.rows]
    assert max(outcome.exit_share[1:4].sum() for outcome in outcomes) > 0.02
    row = max(model.table.rows, key=lambda row: replay(records, row.policy).exit_share[1:4].sum())
    model.policy = row.policy
    samples = samples_of(run, records)
    _, route = model.route([samples.load(i) for i in range(len(samples))])
    outcome = replay(records, row.policy)
    assert np.mean(route.expert.numpy() == outcome.expert) > 0.995
    assert route.cost.mean().item() == pytest.approx(outcome.cost, rel=0.02)
