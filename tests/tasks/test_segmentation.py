"""Segmentation: mIoU of a data set whose images were answered by different experts, and a run from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, OrxeError, fit_policies, replay
from orxe_plugins.data.images import to_tensor
from orxe_plugins.data.masks import Mask
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.evaluation.metric import Metric
from orxe_plugins.evaluation.routed import disagreements, run_routed
from orxe_plugins.records import RecordOptions, Records, record
from orxe_plugins.tasks import task_named
from orxe_plugins.tasks.segmentation import confusion, mean_iou

CLASSES = 3


def direct_miou(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """mIoU of pairs of mask and answer, class by class, over all pixels of the data set."""
    values = []
    for c in range(CLASSES):
        union = sum(int((((t == c) | (a == c)) & (t != 255)).sum()) for t, a in pairs)
        both = sum(int(((t == c) & (a == c)).sum()) for t, a in pairs)
        if union:
            values.append(both / union)
    return float(np.mean(values)) if values else 0.0


def one_hot(answer: np.ndarray) -> Tensor:
    """Logits (C, H, W) whose largest is the answer."""
    return torch.nn.functional.one_hot(torch.from_numpy(answer), CLASSES).permute(2, 0, 1).float() * 5


@given(st.integers(0, 10_000))
def test_merged_confusion_matrices_are_the_data_sets_miou(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [
        (rng.choice([0, 1, 2, 255], (4, 5)), rng.integers(0, int(rng.integers(1, 4)), (4, 5)))
        for _ in range(int(rng.integers(1, 5)))
    ]
    matrices = [confusion(one_hot(answer), truth) for truth, answer in pairs]
    assert mean_iou(np.sum(matrices, axis=0)) == pytest.approx(direct_miou(pairs))
    for matrix, pair in zip(matrices, pairs, strict=True):
        assert mean_iou(matrix) == pytest.approx(direct_miou([pair]))


def test_small_logits_are_resized_to_the_mask() -> None:
    truth = np.repeat([[0, 0, 1, 1]], 4, axis=0)
    logits = one_hot(np.array([[0, 1], [0, 1]]))
    assert confusion(logits, truth).tolist() == [[8, 0, 0], [0, 8, 0], [0, 0, 0]]


def test_a_class_that_the_expert_does_not_know_is_named() -> None:
    with pytest.raises(OrxeError, match="a mask has the class 7, but the expert answers with 3 classes"):
        confusion(torch.zeros(3, 2, 2), np.full((2, 2), 7))


class Segmenter(nn.Module):
    """Tells dark, middle and bright pixels apart; a coarse one sees means over squares of pixels."""

    def __init__(self, coarse: int) -> None:
        super().__init__()
        self.coarse = coarse
        self.layer = nn.Conv2d(1, CLASSES, 1)
        with torch.no_grad():
            # The shades are 20, 120 and 220: the classes' logits cross half-way between them.
            self.layer.weight.copy_(torch.tensor([0.0, 15.0, 30.0]).reshape(3, 1, 1, 1))
            self.layer.bias.copy_(torch.tensor([0.0, -4.1, -14.1]))

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(dim=1, keepdim=True)  # (B, 1, H, W)
        logits = self.layer(nn.functional.avg_pool2d(grey, self.coarse))
        # Experts of one cascade give logits of one size.
        return nn.functional.interpolate(logits, grey.shape[-2:], mode="bilinear")


class SegmentationExpert(Expert):
    """Original images of one size in, logits (B, C, h, w) out."""

    def prepare(self, batch: object) -> Tensor:
        return torch.stack([to_tensor(image) for image in batch])  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of rectangles in three shades: with large ones, and with ones too small for the coarse segmenter."""
    root = tmp_path_factory.mktemp("scenes")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        truth = np.zeros((32, 32), dtype=np.uint8)
        side = 16 if i % 2 else 2
        for _ in range(1 if i % 2 else 30):
            top, left = (rng.integers(0, 32 - side, 2) // side) * side
            truth[top : top + side, left : left + side] = rng.integers(1, 3)
        pixels = (truth * 100 + 20 + rng.normal(0, 8, truth.shape)).clip(0, 255).astype(np.uint8)
        truth[0, 0] = 255
        Image.fromarray(pixels).convert("RGB").save(root / "images" / f"{i:02d}.png")
        Image.fromarray(truth).save(root / "masks" / f"{i:02d}.png")
    return root


def pool() -> list[Expert]:
    confidence = task_named("segmentation").default_confidence
    return [
        SegmentationExpert("coarse", Segmenter(4), confidence=confidence(), cost=1.0),
        SegmentationExpert("fine", Segmenter(1), confidence=confidence(), cost=10.0),
    ]


@pytest.fixture(scope="module")
def records(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    task = task_named("segmentation")
    folder, options = tmp_path_factory.mktemp("records"), RecordOptions(batch_size=8)
    return record(pool(), task.dataset(scenes), folder, task=task, options=options)


def test_the_metric_of_a_routed_mix_is_that_of_its_answers(records: Records, scenes: Path) -> None:
    task = task_named("segmentation")
    dataset = task.dataset(scenes)
    metric = Metric.of_task(task, dataset.targets)
    images = [dataset.load(i) for i in range(len(dataset))]
    with torch.inference_mode():
        logits = [expert.run(images).outputs for expert in pool()]
    answers = [each.argmax(1).numpy() for each in logits]
    truths = [mask.pixels() for mask in dataset.targets]
    rng = np.random.default_rng(0)
    for routing in (np.zeros(40, int), np.ones(40, int), *rng.integers(0, 2, (5, 40))):
        chosen = {key: values[routing, np.arange(40)] for key, values in records.predictions.items()}
        value = task.metric(records.score[routing, np.arange(40)], chosen, dataset.targets)
        assert value == pytest.approx(direct_miou([(truths[i], answers[e][i]) for i, e in enumerate(routing)]))
    assert metric.name == "mIoU"


def test_segmenters_from_images_to_a_cascade(records: Records, scenes: Path) -> None:
    """Record, search, report and route: images that the coarse segmenter can do are left to it."""
    task = task_named("segmentation")
    dataset = task.dataset(scenes)
    fit, report = records.split(0.5)
    table = fit_policies(fit, np.linspace(0, 1, 11).tolist(), scores="raw")
    place = {sample: i for i, sample in enumerate(dataset.sample_ids)}
    samples = dataset.select([place[sample] for sample in report.sample_ids])
    evaluation = evaluate(table, report, fitted_on=fit, metric=Metric.of_task(task, samples.targets))
    assert evaluation.metric_name == "mIoU"
    row = table.at(0.65)
    cascade = Cascade(pool(), row.policy)
    routed = run_routed(cascade, samples, task, batch_size=6)
    assert not len(disagreements(routed, report, row.policy))
    outcome = replay(report, row.policy)
    assert routed.score.mean() == pytest.approx(outcome.score)
    easy = np.array([int(sample[-6:-4]) % 2 == 1 for sample in report.sample_ids])
    assert (routed.expert[easy] == 0).all()
    assert (routed.expert[~easy] == 1).all()
    with torch.inference_mode():
        (text,) = task.describe(cascade.route([samples.load(0)])[0])
    assert text.startswith("0: ")


def test_score_and_columns_come_in_one_call_whatever_came_before(tmp_path: Path) -> None:
    task = task_named("segmentation")
    truths = [np.array([[0, 1], [2, 2]]), np.array([[1, 1], [0, 255]])]
    masks = []
    for i, truth in enumerate(truths):
        Image.fromarray(truth.astype(np.uint8)).save(tmp_path / f"{i}.png")
        masks.append(Mask(tmp_path / f"{i}.png"))
    logits = torch.stack([one_hot(np.array([[0, 1], [2, 0]])), one_hot(np.array([[1, 0], [0, 0]]))])
    both, last = task.assess(logits, masks, "all"), task.assess(logits[1:], masks[1:], "all")
    np.testing.assert_array_equal(both.columns["confusion"][1:], last.columns["confusion"])
    np.testing.assert_array_equal(both.score, task.score(logits, masks))
    assert both.columns["confusion"].dtype == np.int32
    assert both.score.tolist() == pytest.approx(
        [
            direct_miou([pair])
            for pair in zip(truths, [np.array([[0, 1], [2, 0]]), np.array([[1, 0], [0, 0]])], strict=True)
        ]
    )
    assert task.assess(logits, masks, "none").columns == {}


def test_records_without_confusion_matrices_say_what_to_do() -> None:
    task = task_named("segmentation")
    with pytest.raises(OrxeError, match="record segmentation with keep 'all'"):
        task.metric(np.zeros(1), {}, [])
