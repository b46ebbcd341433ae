"""How a task of one's own gives scores and columns: in one call, or by the two methods of version 0.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from orxe_plugins.tasks import Scored, Task


class InOneCall(Task):
    def assess(self, outputs: Any, targets: Sequence[Any], keep: str) -> Scored:
        error = np.abs(np.asarray(outputs) - np.asarray(targets))
        return Scored(-error, {} if keep == "none" else {"error": error})


class Apart(Task):
    def score(self, outputs: Any, targets: Sequence[Any]) -> np.ndarray:
        return -np.abs(np.asarray(outputs) - np.asarray(targets))

    def predictions(self, outputs: Any, keep: str) -> dict[str, np.ndarray]:
        return {} if keep == "none" else {"value": np.asarray(outputs)}


@pytest.mark.parametrize(("task", "column", "value"), [(InOneCall(), "error", [1.0, 2.0]), (Apart(), "value", [3, 4])])
def test_both_kinds_give_score_and_columns(task: Task, column: str, value: list[float]) -> None:
    scored = task.assess([3, 4], [4, 2], "all")
    assert scored.score.tolist() == task.score([3, 4], [4, 2]).tolist() == [-1, -2]
    assert {name: rows.tolist() for name, rows in scored.columns.items()} == {column: value}
    assert task.assess([3, 4], [4, 2], "none").columns == {}


def test_a_task_that_gives_neither_is_named() -> None:
    class Empty(Task):
        pass

    with pytest.raises(NotImplementedError, match="Empty implements neither assess nor score"):
        Empty().assess([1], [1], "all")
    with pytest.raises(NotImplementedError, match="InOneCall gives its columns by assess"):
        InOneCall().predictions([1], "all")
