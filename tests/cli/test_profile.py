"""orxe profile: measured times of a recipe's experts, and the commands that choose by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orxe_plugins.cost.latency import LatencyTable

FEW = ("--repeats", "2", "--singles", "3", "cost.batch_sizes=[1,2]")


@pytest.fixture
def profile(tiny_recipe: Path, out: Path, orxe: Callable[..., Any]) -> Path:
    done = orxe("profile", tiny_recipe, "--out", out, *FEW)
    assert done.code == 0, done.err
    (file,) = (out / "profiles").glob("*.json")
    assert f"profile: {file}" in done.out and "Milliseconds (" in done.out
    return file


def test_every_expert_is_measured_into_one_file_of_the_device(profile: Path) -> None:
    table = LatencyTable.load(profile)
    assert set(table.ms) == {"small", "medium", "large"} and table.batch_sizes == (1, 2)
    assert table.details["dtype"] == "fp32" and table.details["device"] == "cpu"
    assert all(len(times) == 3 for times in table.single.values()) and set(table.spread) == set(table.ms)


def test_commands_choose_by_a_profile(profile: Path, tiny_recipe: Path, out: Path, orxe: Callable[..., Any]) -> None:
    # Whatever was measured: in this file, the cheapest expert in GMACs is the slowest.
    data = json.loads(profile.read_text())
    data["ms_per_batch"] = {"small": [90.0, 180.0], "medium": [2.0, 4.0], "large": [4.0, 8.0]}
    profile.write_text(json.dumps(data))
    cost = f"cost={{kind: throughput, batch_size: 2, table: {profile}}}"
    savers = orxe("select-saver", tiny_recipe, "--out", out, "--base", "large", cost)
    assert savers.code == 0 and "medium" in savers.out and "ms" in savers.out
    pool = orxe("select-pool", tiny_recipe, "-k", 1, "--out", out, cost)
    assert pool.code == 0 and pool.out.split() != ["small"]
    searched = orxe("search", tiny_recipe, "--out", out, cost)
    assert searched.code == 0 and "ms in" in searched.out
    report = orxe("eval", tiny_recipe, "--out", out, cost)
    assert report.code == 0 and "Time (" in report.out and "GMACs" in report.out


def test_a_report_shows_the_times_of_a_profile_beside_gmacs(
    profile: Path, tiny_recipe: Path, out: Path, orxe: Callable[..., Any]
) -> None:
    assert orxe("search", tiny_recipe, "--out", out).code == 0
    report = orxe("eval", tiny_recipe, "--out", out)
    assert report.code == 0 and "Time (" in report.out
    assert json.loads((out / "report" / "report.json").read_text())["times"]["experts"]


def test_what_cannot_be_measured_is_told(tiny_recipe: Path, out: Path, orxe: Callable[..., Any]) -> None:
    nowhere = orxe("profile", tiny_recipe, "--out", out, "--device", "cuda:97", *FEW)
    assert nowhere.code == 2 and "device 'cuda:97' cannot be used" in nowhere.err
    unknown = orxe("profile", tiny_recipe, "--out", out, "--dtype", "fp8", *FEW)
    assert unknown.code == 2 and "unknown precision 'fp8'" in unknown.err
