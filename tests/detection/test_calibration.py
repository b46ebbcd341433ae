from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from orxe_plugins import ExpertSpec, OrxeError, load_expert
from orxe_plugins.detection.calibration import (
    CALIBRATIONS,
    IsotonicCalibration,
    PlattCalibration,
    calibration_from_dict,
    fit_calibration,
)
from orxe_plugins.detection.detections import Detections


def drawn(seed: int, n: int = 4000, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes whose true share of right ones is a logistic function of their score's logit."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.01, 0.99, n)
    return scores, rng.random(n) < expit(slope * logit(scores) + shift)


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_a_fit_finds_the_share_of_right_boxes(kind: str) -> None:
    scores, right = drawn(0, 40000, slope=2.0, shift=-1.0)
    fitted = fit_calibration(scores, right, kind)
    at = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(fitted(at), expit(2 * logit(at) - 1), atol=0.03)


@given(seed=st.integers(0, 10000), kind=st.sampled_from(CALIBRATIONS), n=st.integers(20, 300))
def test_a_fit_never_turns_a_ranking_round(seed: int, kind: str, n: int) -> None:
    scores, right = drawn(seed, n)
    if not 0 < right.sum() < n:
        return
    try:
        fitted = fit_calibration(scores, right, kind)
    except OrxeError as error:
        assert "right less often" in str(error)
        return
    values = fitted(np.sort(np.concatenate([scores, [0.0, 1.0]])))
    assert values.dtype == np.float32
    assert (np.diff(values) >= 0).all()
    assert values.min() >= 0
    assert values.max() <= 1
    again = calibration_from_dict(fitted.to_dict())
    np.testing.assert_array_equal(again(scores), fitted(scores))


def test_isotonic_keeps_the_order_within_a_step() -> None:
    scores, right = drawn(1, 200)
    values = fit_calibration(scores, right)(np.linspace(0.2, 0.8, 50))
    assert (np.diff(values) > 0).all()


def test_boxes_that_tie_keep_their_order() -> None:
    flat = IsotonicCalibration((0.5,), (0.7,))
    found = Detections(torch.zeros(3, 4), torch.tensor([0.2, 1.0, 0.6]), torch.tensor([0, 1, 2]), ("a", "b", "c"))
    calibrated = flat.of_detections(found)
    assert calibrated.labels.tolist() == [1, 2, 0]
    assert calibrated.scores.tolist() == sorted(calibrated.scores.tolist(), reverse=True)


@pytest.mark.parametrize(
    ("scores", "right", "kind", "message"),
    [
        ([0.1, 0.2], [True, True], "platt", "2 of 2 boxes are right"),
        ([0.1], [True, False], "platt", r"expected \(D,\) both"),
        ([0.1, 0.9], [True, False], "platt", "right less often"),
        ([0.1, 0.9], [False, True], "plat", "unknown calibration 'plat': did you mean 'platt'"),
    ],
)
def test_what_cannot_be_fitted_is_named(scores: Any, right: Any, kind: str, message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        fit_calibration(np.array(scores), np.array(right), kind)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "spline"}, "unknown calibration 'spline'"),
        ({"kind": "platt", "slope": 1.0}, "lacks a key or has a wrong value"),
        ({"kind": "platt", "slope": -1.0, "intercept": 0.0}, "slope above 0"),
        ({"kind": "isotonic", "scores": [0.5, 0.1], "values": [0.1, 0.2]}, "expected rising ones"),
        ({"kind": "isotonic", "scores": [0.1, 0.5], "values": [0.3, 0.2]}, "none to fall"),
    ],
)
def test_what_is_no_calibration_is_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        calibration_from_dict(data)


def test_an_experts_spec_carries_its_calibration() -> None:
    pytest.importorskip("torchvision")
    name, options = (
        "torchvision:ssdlite320_mobilenet_v3_large",
        {"weights": None, "classes": ["cat"], "score_thresh": 0.0},
    )
    fitted = PlattCalibration(2.0, -1.0)
    plain = load_expert(ExpertSpec(name, options=options))
    spec = ExpertSpec(name, options=options, calibration=fitted.to_dict())
    calibrated = load_expert(ExpertSpec(**spec.to_dict()))
    calibrated.module.load_state_dict(plain.module.state_dict())
    image = torch.rand(3, 64, 64)
    raw, changed = plain.run([image]), calibrated.run([image])
    torch.testing.assert_close(raw.confidence, changed.confidence)
    expected = torch.from_numpy(fitted(raw.outputs[0].best_first().scores.numpy()))
    torch.testing.assert_close(changed.outputs[0].scores, expected)
    with pytest.raises(OrxeError, match="no detector"):
        load_expert(ExpertSpec("torchvision:shufflenet_v2_x0_5?weights=none", calibration=fitted.to_dict()))
