from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.files import ReportFiles
from orxe_plugins.report.loggers import TRACKERS, log_evaluation, open_tracker

FILES = ReportFiles(Path("r/report.md"), Path("r/report.html"), Path("r/report.json"), Path("r/policies.csv"), ())


class Stand:
    """Stands in for a tracker's package: remembers what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **keywords: Any) -> Stand:
            self.calls.append((name, args, keywords))
            return self

        return call


@pytest.mark.parametrize("kind", TRACKERS)
def test_every_tracker_gets_every_policy_and_the_chosen_one(
    kind: str, evaluation: Callable[..., Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = Stand()
    monkeypatch.setitem(sys.modules, kind, stand)  # type: ignore[arg-type]
    board = SimpleNamespace(SummaryWriter=lambda folder: stand)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)  # type: ignore[arg-type]
    reported = evaluation()
    log_evaluation(open_tracker(kind, "mine", tmp_path), reported, FILES)
    values: dict[tuple[str, int], float] = {}
    for name, args, keywords in stand.calls:
        if name == "add_scalar":
            values[args[0], args[2]] = args[1]
        elif name in ("log", "log_metrics"):
            given: Mapping[str, float] = args[0]
            values.update({(key, keywords["step"]): value for key, value in given.items()})
    for step, row in enumerate(reported.policies):
        assert values["policies/top1", step] == row.result.score.value
        assert values["policies/cost", step] == row.result.cost.value
    assert values["chosen/top1", len(reported.policies)] == reported.chosen.result.score.value
    assert stand.calls[-1][0] in ("close", "end_run", "finish")


def test_an_unknown_tracker_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="unknown tracker 'paper': known are mlflow, tensorboard, trackio, wandb"):
        open_tracker("paper", "mine", tmp_path)


def test_a_tracker_that_is_not_installed_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(OrxeError, match="mlflow is not installed .*: install it by `pip install mlflow`"):
        open_tracker("mlflow", "mine", tmp_path)
