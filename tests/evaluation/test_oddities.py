"""What a report warns of."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from orxe_plugins import Records, evaluate, fit_policies
from orxe_plugins.evaluation import IntervalSettings
from orxe_plugins.evaluation.oddities import odd_shift


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


def test_few_samples_are_compared_without_a_warning() -> None:
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(60):
            confidence = rng.random((2, 1, 5))
            one, other = (Records.from_arrays(["a"], [1], each, np.zeros((1, 5))) for each in confidence)
            odd_shift(one, other)
