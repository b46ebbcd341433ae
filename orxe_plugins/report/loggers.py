"""Reports in experiment trackers: one interface for TensorBoard, MLflow, Weights & Biases and Trackio."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from orxe_plugins.errors import OrxeError, check_known
from orxe_plugins.evaluation.results import Evaluation
from orxe_plugins.report.files import ReportFiles


class Tracker(Protocol):
    """One run in an experiment tracker."""

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Keep figures under their names, at a step."""

    def finish(self, summary: str, files: ReportFiles) -> None:
        """Keep the summary and what the tracker can hold of the report's files; end the run."""

    def end(self) -> None:
        """End the run."""


class _TensorBoard:
    def __init__(self, name: str, folder: Path) -> None:
        _package("tensorboard")
        board = _package("torch.utils.tensorboard", "tensorboard", needs="SummaryWriter")
        self.writer = board.SummaryWriter(str(folder / "tensorboard"))

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self.writer.add_scalar(key, value, step)

    def finish(self, summary: str, files: ReportFiles) -> None:
        self.writer.add_text("summary", summary)
        self.end()

    def end(self) -> None:
        self.writer.close()


class _MLflow:
    def __init__(self, name: str, folder: Path) -> None:
        self.mlflow = _package("mlflow", needs="start_run")
        self.mlflow.start_run(run_name=name)

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        # It refuses a name with another sign, such as a metric's "%", and with it all of the figures.
        self.mlflow.log_metrics({re.sub(r"[^\w./ -]", "_", key): value for key, value in values.items()}, step=step)

    def finish(self, summary: str, files: ReportFiles) -> None:
        self.mlflow.set_tag("mlflow.note.content", summary)
        for path in files.paths:
            self.mlflow.log_artifact(str(path))
        self.end()

    def end(self) -> None:
        self.mlflow.end_run()


class _RunOfSteps:
    """Weights & Biases, and Trackio, which took over its functions."""

    def __init__(self, package: str, name: str) -> None:
        self.module = _package(package, needs="init")
        self.run = self.module.init(project="orxe", name=name)

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        self.module.log(dict(values), step=step)

    def finish(self, summary: str, files: ReportFiles) -> None:
        self.end()

    def end(self) -> None:
        self.module.finish()


class _WeightsAndBiases(_RunOfSteps):
    def finish(self, summary: str, files: ReportFiles) -> None:
        self.run.notes = summary
        for path in files.paths:
            self.run.save(str(path), base_path=str(path.parent), policy="now")
        self.end()


_TRACKERS: dict[str, Callable[[str, Path], Tracker]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MLflow,
    "wandb": lambda name, folder: _WeightsAndBiases("wandb", name),
    "trackio": lambda name, folder: _RunOfSteps("trackio", name),
}
#: names of the trackers
TRACKERS = tuple(_TRACKERS)


def open_tracker(kind: str, name: str, folder: Path) -> Tracker:
    """A new run in an experiment tracker.

    Args:
        kind: one of :data:`TRACKERS`.
        name: what the run is called.
        folder: where a tracker that writes files puts them.

    Raises:
        OrxeError: there is no such tracker, its package is not installed, or it could not begin a run.
    """
    check_known("tracker", [kind], TRACKERS)
    with _told(f"{kind} could not begin a run"):
        return _TRACKERS[kind](name, folder)


def open_trackers(kinds: Sequence[str], name: str, folder: Path) -> list[Tracker]:
    """New runs in several experiment trackers, each once; none is left open if one of them cannot be opened.

    Raises:
        OrxeError: as :func:`open_tracker`.
    """
    check_known("tracker", kinds, TRACKERS)
    opened: list[Tracker] = []
    try:
        for kind in dict.fromkeys(kinds):
            opened.append(open_tracker(kind, name, folder))
    except OrxeError:
        for tracker in opened:
            with suppress(Exception):
                tracker.end()
        raise
    return opened


def log_evaluation(tracker: Tracker, evaluation: Evaluation, files: ReportFiles) -> None:
    """Keep an evaluation: one step for each policy by rising preference, then the chosen policy, and the report.

    Scores are fractions; costs are in the evaluation's unit.

    Raises:
        OrxeError: the tracker raised an error; the report's files are there all the same.
    """
    with _told(f"{files.html} is written, but its figures could not be logged"):
        _log(tracker, evaluation, files)


def log_everywhere(trackers: Sequence[Tracker], evaluation: Evaluation, files: ReportFiles) -> None:
    """Log with each of several trackers; one that fails is ended, and keeps no other from its figures.

    Raises:
        OrxeError: some of them raised an error.
    """
    failed: list[OrxeError] = []
    for tracker in trackers:
        try:
            log_evaluation(tracker, evaluation, files)
        except OrxeError as error:
            failed.append(error)
            with suppress(Exception):
                tracker.end()
    if failed:
        raise OrxeError("; ".join(map(str, failed))) from failed[0]


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn whatever a tracker's package raises into one line."""
    try:
        yield
    except OrxeError:
        raise
    except Exception as error:
        said = next(iter(str(error).strip().splitlines()), "")
        raise OrxeError(f"{what}: {type(error).__name__}{': ' if said else ''}{said}") from error


def _log(tracker: Tracker, evaluation: Evaluation, files: ReportFiles) -> None:
    metric = evaluation.metric_name
    for step, row in enumerate(evaluation.policies):
        figures = {"preference": row.preference, "cost": row.result.cost.value, metric: row.result.score.value}
        tracker.figures(step, {f"policies/{key}": value for key, value in figures.items()})
    chosen = evaluation.chosen.result
    figures = {
        "cost": chosen.cost.value,
        "cost_ratio": chosen.cost_ratio.value,
        metric: chosen.score.value,
        f"{metric}_low": chosen.score.low,
        f"{metric}_high": chosen.score.high,
        "difference": chosen.score_difference.value,
    }
    last = len(evaluation.policies)
    tracker.figures(last, {f"chosen/{key}": value for key, value in figures.items()})
    tracker.finish(evaluation.verdict.sentence, files)


def _package(module: str, package: str = "", needs: str = "") -> Any:
    """A tracker's module.

    Args:
        module: its name.
        package: what pip calls its package; the module's name by default.
        needs: a name that it must have: a folder of the module's name, such as the one that W&B itself makes for its
            runs, is imported as an empty package.
    """
    name = package or module
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise OrxeError(f"{name} is not installed ({error}): install it by `pip install {name}`") from error
    if needs and not hasattr(found, needs):
        raise OrxeError(f"{name} is not installed ({module} has no {needs}): install it by `pip install {name}`")
    return found
