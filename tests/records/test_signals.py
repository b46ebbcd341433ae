"""Which confidence an expert gets: the one that ranks its answers best, where that is more than chance."""

from __future__ import annotations

import numpy as np
import pytest

from orxe_plugins import OrxeError, Records
from orxe_plugins.records import fit_signals, with_signals


def recorded(m: int, seed: int, *, second: float) -> Records:
    """Two experts; the first is wrong where its second class is close, with ``second`` as the weight of that."""
    rng = np.random.default_rng(seed)
    top = rng.uniform(0.3, 0.6, m)
    runner_up = top * rng.uniform(0.05, 0.95, m)
    rest = np.clip(1 - top - runner_up, 0.01, 1)[:, None] * rng.dirichlet(np.full(8, 5.0), m)
    p = np.column_stack([top, np.minimum(runner_up, top), np.minimum(rest, runner_up[:, None])])
    p = -np.sort(-p / p.sum(axis=1, keepdims=True), axis=1)[:, :5]
    doubt = second * p[:, 1] / p[:, 0] + (1 - second) * (1 - p[:, 0])
    right = rng.random(m) > doubt
    log_p = np.log(np.stack([p, p])).astype(np.float32)
    score = np.stack([right, np.ones(m, bool)]).astype(np.uint8)
    classes = np.tile(np.arange(5), (2, m, 1))
    return Records.from_arrays(["small", "large"], [1, 9], np.exp(log_p[:, :, 0]), score,
                               predictions={"log_probs": log_p, "classes": classes})  # fmt: skip


def test_a_signal_that_ranks_better_is_taken_and_gains_on_other_samples() -> None:
    fit, report = recorded(600, 1, second=0.9), recorded(4000, 2, second=0.9)
    found = fit_signals(fit)["small"]
    assert found.options["kind"] in ("margin", "advantage") and max(found.gains.values()) > 0.01
    changed = with_signals(report, {"small": found.options})
    assert changed.details["confidence"]["small"]["kind"] == found.options["kind"]
    assert changed.cost[0] >= report.cost[0] and (changed.confidence[1] == report.confidence[1]).all()

    def kept(records: Records) -> float:
        surest = np.argsort(-records.confidence[0])[:2000]
        return float(records.score[0, surest].mean())

    assert kept(changed) > kept(report) + 0.02


def test_what_is_there_stays_where_nothing_ranks_better() -> None:
    stays = [fit_signals(recorded(150, seed, second=0.0))["small"].options["kind"] for seed in range(6)]
    assert stays.count("max_softmax") >= 4


def test_few_samples_and_one_sided_scores_are_no_trouble() -> None:
    few = recorded(3, 1, second=0.5)
    assert set(fit_signals(few)) == {"small"}
    assert fit_signals(recorded(1, 1, second=0.5))["small"].options == {"kind": "max_softmax"}


def test_records_without_answers_say_what_is_needed() -> None:
    bare = Records.from_arrays(["small", "large"], [1, 9], np.ones((2, 4)), np.ones((2, 4)))
    with pytest.raises(OrxeError, match="these records keep nothing of the answers"):
        fit_signals(bare)
    with pytest.raises(OrxeError, match="medium"):
        with_signals(recorded(5, 0, second=0.5), {"medium": {"kind": "margin"}})


def boxes(m: int, seed: int, told: str) -> Records:
    """Two detectors; images gain by the second one where the boxes of the first one are many, or weak, or anywhere."""
    rng = np.random.default_rng(seed)
    many, weak = rng.random((2, m))
    columns: dict[str, list[np.ndarray]] = {"boxes": [], "scores": [], "labels": []}
    for i in range(m):
        sure, count = rng.uniform(0.7, 0.99, 3) * (1 - 0.5 * weak[i]), int(12 * many[i])
        scores = np.concatenate([sure, rng.uniform(0.2, 0.5, count)]).astype(np.float32)
        columns["boxes"].append(np.tile(np.float32([0, 0, 9, 9]), (len(scores), 1)))
        columns["scores"].append(scores)
        columns["labels"].append(np.zeros(len(scores), dtype=np.int64))
    cause = {"doubt": many, "weak": weak, "nothing": rng.random(m)}[told]
    first = 0.8 - 0.6 * cause + rng.normal(0, 0.1, m)
    kept = {}
    for name, rows in columns.items():
        kept[name] = np.empty((2, m), dtype=object)
        kept[name][0, :] = kept[name][1, :] = rows
    mean = [float(row.mean()) for row in columns["scores"]]
    return Records.from_arrays(
        ["small", "large"], [1, 9], np.stack([mean, mean]).astype(np.float32), np.stack([first, np.full(m, 0.8)]),
        predictions=kept,
    )  # fmt: skip


def test_the_mean_box_score_gives_way_to_the_doubt_unless_it_is_better() -> None:
    for told, allowed in (("doubt", {"box_doubt", "advantage"}), ("nothing", {"box_doubt"})):
        found = [fit_signals(boxes(60, seed, told))["small"].options["kind"] for seed in range(5)]
        assert sum(kind in allowed for kind in found) >= 4, (told, found)
