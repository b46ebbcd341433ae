from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from orxe_plugins import OrxeError
from orxe_plugins.tasks import task_named

TASK = task_named("regression")


def test_the_score_is_the_negative_absolute_error() -> None:
    score = TASK.score(torch.tensor([[1.0], [2.0]]), [1.5, 5.0])
    assert score.dtype == np.float64
    np.testing.assert_allclose(score, [-0.5, -3.0])
    # Several numbers per sample: their mean error.
    np.testing.assert_allclose(TASK.score(torch.tensor([[1.0, 2.0]]), [(2.0, 5.0)]), [-2.0])
    assert TASK.metric(score, {}, [1.5, 5.0]) == pytest.approx(-1.75)


def test_targets_of_another_width_are_named() -> None:
    with pytest.raises(OrxeError, match="gives 2 numbers per image, but a target has 1"):
        TASK.score(torch.zeros(3, 2), [1.0, 2.0, 3.0])


def test_nan_is_no_answer_and_every_sample_is_as_sure() -> None:
    outputs = torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [torch.inf, 0.0]])
    assert TASK.valid(outputs).tolist() == [True, False, False]
    assert TASK.default_confidence()(outputs).tolist() == [0.5, 0.5, 0.5]


def test_records_keep_the_numbers() -> None:
    outputs = torch.tensor([[1.25, -2.0]])
    np.testing.assert_array_equal(TASK.predictions(outputs, "top5")["values"], [[1.25, -2.0]])
    assert TASK.predictions(outputs, "none") == {}
    assert TASK.describe(outputs) == ["1.25 -2"]


def test_there_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="regression has no classes"):
        TASK.dataset(tmp_path, class_map="classes.txt")
