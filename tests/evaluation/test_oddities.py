"""What a report warns of."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from orxe_plugins import Records, evaluate, fit_policies
from orxe_plugins.evaluation import IntervalSettings
from orxe_plugins.evaluation.oddities import aimless_experts, odd_shift


def drawn(seed: int, m: int, dark: float = 0.0) -> Records:
    """Two experts, less sure and less often right the darker the images are."""
    rng = np.random.default_rng(seed)
    chance = np.clip(rng.beta(4, 2, m) + np.array([[0.0], [0.1]]) - dark, 0.01, 0.99)
    confidence = np.clip(chance + rng.normal(0, 0.05, (2, m)), 0, 1)
    return Records.from_arrays(["small", "large"], [1, 9], confidence, (rng.random((2, m)) < chance).astype(np.uint8))


@pytest.mark.parametrize("m", [40, 400, 20_000])
def test_like_splits_are_not_called_unlike(m: int) -> None:
    assert not any(odd_shift(drawn(seed, m), drawn(1000 + seed, m)) for seed in range(25))


def test_a_report_on_other_samples_says_so() -> None:
    fit, like, dark = drawn(1, 200), drawn(2, 200), drawn(3, 200, dark=0.25)
    table, quick = fit_policies(fit, [0.5, 1.0]), IntervalSettings(resamples=100)

    def warned(records: Records) -> list[str]:
        notes = evaluate(table, records, fitted_on=fit, intervals=quick).notes
        return [note for note in notes if "unlike those" in note]

    assert not warned(like)
    (said,) = warned(dark)
    means = (f"{records.confidence[i].mean():.2f}" for i in (0,) for records in (dark, fit))
    assert f"small {', '.join(means)}" in said or "large" in said


def test_augmented_images_are_meant_to_be_unlike() -> None:
    fit, dark = drawn(1, 200), drawn(3, 200, dark=0.25)
    assert odd_shift(fit, dark) and odd_shift(None, dark) == ()
    assert odd_shift(replace(fit, details={"augment": "timm:rand"}), dark) == ()


def of_classes(right: list[int], m: int = 200, n_classes: int = 4, **details: object) -> Records:
    """Experts that are right on so many of samples of evenly frequent classes."""
    score = np.zeros((len(right), m), dtype=np.uint8)
    for row, count in zip(score, right, strict=True):
        row[:count] = 1
    labels = np.arange(m) % n_classes
    names = [f"e{i}" for i in range(len(right))]
    return Records.from_arrays(
        names, np.arange(1, len(right) + 1), np.full(score.shape, 0.5), score, labels=labels, details=details
    )


def test_an_expert_that_guesses_is_named() -> None:
    (said,) = aimless_experts(of_classes([50, 100, 0]))
    assert said.startswith("of 200 samples, e0 is right on 50, e2 is right on 0; always naming")
    assert "most frequent class is right on 50: that more is known here is not shown. Check the order" in said
    records = of_classes([50, 100])
    table = fit_policies(records, [0.5, 1.0])
    assert any("e0 is right on 50" in note for note in evaluate(table, records).notes)


def test_experts_that_look_are_not_blamed() -> None:
    assert aimless_experts(of_classes([70, 190])) == ()
    assert aimless_experts(of_classes([2, 3], m=20)) == ()  # too few to tell
    assert aimless_experts(of_classes([50, 50], relative_to="e1")) == ()
    # One of 1,000 classes: right on few samples is more than by chance.
    assert aimless_experts(of_classes([8, 100], m=500, n_classes=1000)) == ()


def test_scores_that_are_all_nothing_are_told() -> None:
    """Boxes of labels with other numbers are never right."""
    score = np.random.default_rng(0).random((2, 50))
    score[0] = 0
    (said,) = aimless_experts(Records.from_arrays(["boxes", "more"], [1, 2], score, score))
    assert said.startswith("the score of boxes is 0 on all 50 samples: check")
    assert aimless_experts(Records.from_arrays(["a", "b"], [1, 2], np.abs(score), -score)) == ()


def test_few_samples_are_compared_without_a_warning() -> None:
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(60):
            confidence = rng.random((2, 1, 5))
            one, other = (Records.from_arrays(["a"], [1], each, np.zeros((1, 5))) for each in confidence)
            odd_shift(one, other)
