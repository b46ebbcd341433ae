from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orxe_plugins.errors import OrxeError
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.files import ReportFiles
from orxe_plugins.report.loggers import TRACKERS, log_evaluation, log_everywhere, open_tracker, open_trackers

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


@pytest.mark.parametrize("kind", ["mlflow", "wandb", "trackio"])
def test_a_folder_of_a_trackers_name_is_not_its_package(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # W&B keeps its runs in a folder "wandb" where it was started, and Python imports such a folder.
    (tmp_path / kind).mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, kind, raising=False)
    with pytest.raises(OrxeError, match=f"{kind} is not installed .*: install it by `pip install {kind}`") as raised:
        open_tracker(kind, "mine", tmp_path)
    assert len(str(raised.value).splitlines()) == 1


class Refusing(Stand):
    """A package that raises where it is called by one of some names."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def __getattr__(self, name: str) -> Any:
        if name in self.names:
            return self._refuse
        return super().__getattr__(name)

    def _refuse(self, *args: Any, **keywords: Any) -> None:
        raise PermissionError("no right to write\nthere")


def test_a_tracker_that_cannot_begin_says_why_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", Refusing("init"))  # type: ignore[arg-type]
    with pytest.raises(OrxeError) as raised:
        open_tracker("wandb", "mine", tmp_path)
    assert str(raised.value) == "wandb could not begin a run: PermissionError: no right to write"


@pytest.mark.parametrize("second", ["paper", "wandb"])
def test_no_tracker_is_left_open_where_another_cannot_be(
    second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Stand()
    monkeypatch.setitem(sys.modules, "mlflow", first)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "wandb", Refusing("init"))  # type: ignore[arg-type]
    with pytest.raises(OrxeError, match=second):
        open_trackers(["mlflow", second], "mine", tmp_path)
    begun = [name for name, *_ in first.calls]
    assert begun.count("start_run") == begun.count("end_run")


def test_each_tracker_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands = {kind: Stand() for kind in ("mlflow", "trackio")}
    for kind, stand in stands.items():
        monkeypatch.setitem(sys.modules, kind, stand)  # type: ignore[arg-type]
    assert len(open_trackers(["trackio", "mlflow", "trackio"], "mine", tmp_path)) == 2
    assert [name for name, *_ in stands["trackio"].calls] == ["init"]


def test_names_that_mlflow_refuses_are_written_with_other_signs(
    evaluation: Callable[..., Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = Stand()
    monkeypatch.setitem(sys.modules, "mlflow", stand)  # type: ignore[arg-type]
    log_evaluation(open_tracker("mlflow", "mine", tmp_path), evaluation(metric_name="F1 (%) <macro>"), FILES)
    logged = {key for name, args, _ in stand.calls if name == "log_metrics" for key in args[0]}
    assert "policies/F1 ___ _macro_" in logged
    assert all(re.fullmatch(r"[\w./ -]+", key) for key in logged)


def test_what_a_tracker_raises_after_the_work_names_the_report(
    evaluation: Callable[..., Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", Refusing("log_metrics"))  # type: ignore[arg-type]
    tracker = open_tracker("mlflow", "mine", tmp_path)
    with pytest.raises(OrxeError, match="report.html is written, but its figures could not be logged: PermissionErr"):
        log_evaluation(tracker, evaluation(), FILES)


def test_a_tracker_that_fails_keeps_no_other_from_its_figures(
    evaluation: Callable[..., Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = Refusing("log_metrics"), Stand()
    monkeypatch.setitem(sys.modules, "mlflow", broken)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "trackio", sound)  # type: ignore[arg-type]
    trackers = open_trackers(["mlflow", "trackio"], "mine", tmp_path)
    with pytest.raises(OrxeError, match="could not be logged"):
        log_everywhere(trackers, evaluation(), FILES)
    assert broken.calls[-1][0] == "end_run"
    assert sound.calls[-1][0] == "finish" and len(sound.calls) > 3
