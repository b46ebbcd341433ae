"""Matches: scores may change and images may be chosen without matching again; calibration and image scores on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orxe_plugins.detection import (
    GroundTruth,
    Matches,
    RoutedAP,
    calibrated,
    calibration_effect,
    fit_calibrations,
    match_detections,
    routed_ap,
)
from orxe_plugins.detection.calibration import PlattCalibration
from orxe_plugins.detection.coco.image_score import pooled_ap
from orxe_plugins.detection.detections import Detections
from orxe_plugins.errors import OrxeError

NAMES = ("cat", "dog")


def scene(
    seed: int, n_images: int, skill: float = 0.7, scale: float = 1.0
) -> tuple[list[Detections], list[GroundTruth]]:
    """Objects on a grid, and boxes that find them more often the higher their score is."""
    truth, rng = np.random.default_rng(5), np.random.default_rng(seed)
    targets, answers = [], []
    for _ in range(n_images):
        g = int(truth.integers(0, 5))
        xywh = np.array([[30.0 * i, 10.0, 20.0, 20.0] for i in range(g)]).reshape(g, 4)
        labels = truth.integers(0, 2, g)
        targets.append(GroundTruth(xywh, labels, NAMES))
        k = int(rng.integers(0, 8))
        scores = rng.uniform(0.05, 0.95, k)
        hits = (rng.random(k) < skill * scores) & (g > 0)
        of = rng.integers(0, max(g, 1), k)
        boxes = np.tile([200.0, 200.0, 230.0, 230.0], (k, 1))
        found = rng.integers(0, 2, k)
        if g:
            boxes[hits] = targets[-1].boxes[of[hits]] + rng.uniform(-2, 2, (int(hits.sum()), 1))
            found[hits] = labels[of[hits]]
        answers.append(Detections(torch.tensor(boxes), torch.tensor(scores * scale), torch.tensor(found), NAMES))
    return answers, targets


def figures(matches: list[Matches], routing: np.ndarray) -> Any:
    return pytest.approx(routed_ap(matches, routing).to_dict(), nan_ok=True)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), slope=st.floats(0.2, 3), shift=st.floats(-2, 2))
def test_calibrated_matches_are_those_of_calibrated_detections(seed: int, n: int, slope: float, shift: float) -> None:
    answers, targets = scene(seed, n)
    fitted = PlattCalibration(slope, shift)
    (moved,) = calibrated([match_detections(answers, targets)], [fitted])
    again = match_detections([fitted.of_detections(found) for found in answers], targets)
    np.testing.assert_allclose(np.sort(moved.score), np.sort(again.score))
    routing = np.zeros(n, dtype=int)
    assert routed_ap([moved], routing).to_dict() == figures([again], routing)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), data=st.data())
def test_chosen_images_are_matched_as_if_they_were_alone(seed: int, n: int, data: st.DataObject) -> None:
    answers, targets = scene(seed, n)
    index = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
    chosen = match_detections(answers, targets).select(index)
    alone = match_detections([answers[i] for i in index], [targets[i] for i in index])
    for part in (
        "label",
        "image",
        "score",
        "true_positive",
        "ignored",
        "object_label",
        "object_image",
        "object_counts",
    ):
        np.testing.assert_array_equal(getattr(chosen, part), getattr(alone, part))
    mask = np.isin(np.arange(n), index)
    np.testing.assert_array_equal(match_detections(answers, targets).select(mask).score, alone.score)


def test_a_bootstrap_draw_is_the_ap_of_the_images_drawn() -> None:
    answers, targets = scene(3, 8)
    evaluate = RoutedAP([match_detections(answers, targets)])
    draw = np.array([0, 0, 3, 5, 5, 5, 7, 1])
    repeated = RoutedAP([match_detections([answers[i] for i in draw], [targets[i] for i in draw])])
    routing = np.zeros(8, dtype=int)
    assert evaluate.of_draw(routing, draw) == pytest.approx(repeated(routing).ap, abs=1e-2)
    assert evaluate.of_draw(routing, np.arange(8)) == evaluate(routing).ap
    values = evaluate.resampled(np.stack([routing, routing]), 20, seed=1)
    assert values.shape == (2, 20)
    np.testing.assert_array_equal(values[0], values[1])


def test_calibration_mends_experts_on_different_scales() -> None:
    """The second expert says a tenth of what it means; in a merged ranking its right boxes come last."""
    first, targets = scene(0, 400)
    second, _ = scene(1, 400, skill=1.0, scale=0.1)
    matches = [match_detections(answers, targets) for answers in (first, second)]
    routing = np.arange(400) % 2
    fit_images = np.arange(400) % 4 < 2
    for kind in ("isotonic", "platt"):
        effect = calibration_effect(matches, routing, fit_images, kind, n_resamples=50)
        assert (effect.n_fit, effect.n_reported) == (200, 200)
        assert effect.calibrated > effect.raw + 0.01
        assert effect.interval[0] > 0
        assert "fitted on 200 others" in str(effect)


def test_one_expert_alone_ranks_as_before() -> None:
    answers, targets = scene(0, 100)
    matches = [match_detections(answers, targets)]
    routing = np.zeros(100, dtype=int)
    fitted = fit_calibrations(matches, "platt")
    assert routed_ap(calibrated(matches, fitted), routing).ap == pytest.approx(routed_ap(matches, routing).ap)
    assert routed_ap(calibrated(matches, [None]), routing).to_dict() == figures(matches, routing)


def test_the_image_score_of_hand_made_images() -> None:
    box = [0.0, 0.0, 10.0, 10.0]
    target = GroundTruth(np.array([box]), np.array([0]), NAMES)  # x2 and y2 are its width and height
    empty = GroundTruth(np.zeros((0, 4)), np.zeros(0), NAMES)
    far = [50.0, 50.0, 60.0, 60.0]

    def answer(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Detections:
        return Detections(torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels).long(), NAMES)

    cases = [
        (answer([box], [0.9], [0]), target, 1.0),
        (answer([], [], []), target, 0.0),
        (answer([box], [0.9], [1]), target, 0.0),  # another label
        (answer([far, box], [0.9, 0.8], [1, 0]), target, 0.5),  # a wrong box before the right one
        (answer([box, far], [0.9, 0.8], [0, 1]), target, 1.0),  # and after it
        (answer([], [], []), empty, 1.0),
        (answer([box, far], [0.25, 0.125], [0, 0]), empty, 0.75),
    ]
    scores = pooled_ap(match_detections([case[0] for case in cases], [case[1] for case in cases]))
    np.testing.assert_allclose(scores, [case[2] for case in cases], atol=1e-9)


def test_labels_of_the_answers_are_matched_by_name() -> None:
    target = GroundTruth(np.array([[0, 0, 10, 10]]), np.array([1]), NAMES)
    found = Detections(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([0.5]), torch.tensor([0]), ("Dog", "cat"))
    assert routed_ap([match_detections([found], [target])], np.array([0])).ap == pytest.approx(1.0)
    more = Detections(found.boxes, found.scores, found.labels, ("dog", "cat", "cow"))
    with pytest.raises(OrxeError, match="only the expert's labels have 'cow'"):
        match_detections([more], [target])
    assert len(match_detections([more], [target], allow_extra=True)) == 1


def test_what_does_not_fit_is_named() -> None:
    answers, targets = scene(0, 4)
    matches = match_detections(answers, targets)
    with pytest.raises(OrxeError, match="of 3 images, but ground truth of 4"):
        match_detections(answers[:3], targets)
    with pytest.raises(OrxeError, match="different images or labels"):
        RoutedAP([matches, match_detections(answers[:3], targets[:3])])
    with pytest.raises(OrxeError, match="rank boxes of one image differently"):
        matches.with_scores(np.arange(len(matches)))
    with pytest.raises(OrxeError, match="expected rising numbers"):
        matches.select(np.array([2, 1]))
    with pytest.raises(OrxeError, match="names experts 0 to 1: expected 0 to 0"):
        routed_ap([matches], np.array([0, 1, 0, 0]))
    with pytest.raises(OrxeError, match="expected the expert of each of 4 images"):
        routed_ap([matches], np.zeros(4))
    with pytest.raises(OrxeError, match="2 calibrations for 1 experts"):
        calibrated([matches], [None, None])
    with pytest.raises(OrxeError, match="both values"):
        calibration_effect([matches], np.zeros(4, dtype=int), np.ones(4, dtype=bool))
