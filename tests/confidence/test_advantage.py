"""Confidences that are fitted on records: their files, their numbers, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch

from orxe_plugins import OrxeError
from orxe_plugins.confidence import Advantage, BoxDoubt, confidence_from_dict
from orxe_plugins.confidence.summary import of_top, of_top_logits
from orxe_plugins.detection.detections import Detections

WEIGHTS = [0.5, -1.0, 0.25, 0.0, 0.1, 0.3, -0.2, 0.7, 1.5]


def made() -> Advantage:
    return Advantage("top", WEIGHTS, [-1.0] * 9, [0.5] * 9, 0.3)


def test_it_goes_through_json_as_plain_numbers_and_answers_the_same() -> None:
    logits = torch.randn(40, 12) * 3
    again = confidence_from_dict(json.loads(json.dumps(made().to_dict())))
    assert torch.equal(again(logits), made()(logits))
    assert again.gmacs == 18 / 1e9
    found = made()(logits)
    assert found.shape == (40,) and found.min() >= 0 and found.max() <= 1
    assert torch.equal(torch.cat([made()(row[None]) for row in logits]), found)


def test_recorded_log_probabilities_give_what_logits_give() -> None:
    logits = torch.randn(20, 30)
    top = torch.log_softmax(logits, dim=1).topk(5, dim=1).values
    assert torch.equal(of_top(top), of_top_logits(logits))
    few = torch.randn(4, 2)
    assert of_top_logits(few).shape == (4, 9) and torch.isfinite(of_top_logits(few * 100)).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": []}, "expected"),
        ({"weights": "abc"}, "finite numbers"),
        ({"centre": [0.0]}, "centre of an advantage"),
        ({"scale": [float("nan")] * 9}, "scale of an advantage"),
        ({"bias": float("inf")}, "bias"),
        ({"weights": [True] * 9}, "finite numbers"),
        ({"summary": "nothing"}, "output summary"),
    ],
)
def test_what_is_no_line_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(OrxeError, match=said):
        confidence_from_dict({**made().to_dict(), **change})


def test_another_number_of_inputs_is_refused() -> None:
    with pytest.raises(OrxeError, match="9 weights, but this expert's summary has 20 numbers"):
        Advantage("boxes", WEIGHTS, WEIGHTS, WEIGHTS)([Detections.empty(("cat",))])


def test_doubt_is_high_where_boxes_are_neither_sure_nor_hopeless() -> None:
    def image(*scores: float) -> Detections:
        boxes = torch.tensor([[0.0, 0.0, 5.0, 5.0]] * len(scores)).reshape(-1, 4)
        return Detections(boxes, torch.tensor(scores), torch.zeros(len(scores), dtype=torch.int64), ("cat",))

    found = BoxDoubt()([image(), image(0.99), image(0.5), image(0.5, 0.5), image(0.01, 0.99)])
    assert found[0] == 1 and found.argsort(descending=True).tolist() == [0, 1, 4, 2, 3]
    assert found[2] == pytest.approx(1 / 1.25) and BoxDoubt()([]).shape == (0,)
