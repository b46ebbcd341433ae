from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orxe_plugins import OrxeError, OrxeWarning, Policy, Records, replay

NAMES = ["small", "medium", "large"]


def arrays(**changes: Any) -> dict[str, Any]:
    """Arguments of ``from_arrays`` for three experts and four samples."""
    rng = np.random.default_rng(0)
    given_ = {
        "names": NAMES,
        "cost": [1.0, 2.0, 4.0],
        "confidence": rng.random((3, 4)),
        "score": rng.integers(0, 2, (3, 4)),
    }
    return {**given_, **changes}


def test_arrays_become_aligned_records() -> None:
    given_ = arrays(sample_ids=["a", "b", "c", "d"], labels=np.arange(4), params=np.array([5, 6, 7]))
    records = Records.from_arrays(**given_)
    assert (records.n_experts, len(records)) == (3, 4)
    assert records.confidence.dtype == np.float32
    np.testing.assert_allclose(records.confidence, given_["confidence"], rtol=1e-6)
    assert records.score.tolist() == given_["score"].tolist()
    assert records.sample_ids.tolist() == ["a", "b", "c", "d"]
    assert records.standalone_cost.tolist() == [1, 2, 4]
    np.testing.assert_allclose(records.mean_score, given_["score"].mean(axis=1))
    assert Records.from_arrays(**arrays()).sample_ids.tolist() == ["0", "1", "2", "3"]


def test_the_arrays_of_the_caller_stay_his_own() -> None:
    given_ = arrays(confidence=np.full((3, 4), np.nan, dtype=np.float32))
    Records.from_arrays(**given_)
    assert np.isnan(given_["confidence"]).all()


def test_a_nan_confidence_counts_as_zero() -> None:
    confidence = np.full((3, 4), 0.5)
    confidence[1, 2] = np.nan
    with pytest.warns(OrxeWarning, match="1 of 12 confidences are NaN .1 of medium.: they count as 0"):
        records = Records.from_arrays(**arrays(confidence=confidence))
    assert records.confidence[1].tolist() == [0.5, 0.5, 0.0, 0.5]


def test_experts_that_are_not_sorted_by_cost_are_refused_or_sorted() -> None:
    """The last expert answers what no other did: were it the worst one, it would win at every preference."""
    given_ = arrays(cost=[4.0, 1.0, 2.0], labels=[0, 1, 2, 3], params=[7, 5, 6])
    with pytest.raises(
        OrxeError, match=r"not in order of cost: expected medium \(1.00\), large \(2.00\), small \(4.00\)"
    ):
        Records.from_arrays(**given_)
    records = Records.from_arrays(**given_, order="sort")
    assert records.names == ("medium", "large", "small")
    assert records.cost.tolist() == [1, 2, 4]
    assert records.score.tolist() == given_["score"][[1, 2, 0]].tolist()
    assert records.params is not None and records.params.tolist() == [5, 6, 7]
    assert Records.from_arrays(**given_, order="keep").names == ("small", "medium", "large")
    with pytest.raises(OrxeError, match="unknown order 'srot': did you mean 'sort'"):
        Records.from_arrays(**given_, order="srot")


def test_lists_become_arrays() -> None:
    records = Records.from_arrays(["a", "b"], [1, 2], [[0.5, 0.6], [1, 0]], [[True, False], [True, True]])
    assert records.score.dtype == np.uint8
    assert repr(records) == "Records(2 samples, 2 experts: a, b; cost 1 to 2 GMACs)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": []}, "at least one, and no name twice"),
        ({"names": ["a", "b", "a"]}, "no name twice"),
        ({"names": ["a", "b"]}, r"confidence has shape \(3, 4\): expected \(N, M\) with N = 2"),
        ({"confidence": np.full((3, 4), 1.5)}, r"confidence lies in \[1.5, 1.5\]"),
        ({"confidence": np.full((3, 4), -0.1)}, r"expected values in \[0, 1\]"),
        ({"confidence": np.full((3, 4), np.inf)}, r"confidence lies in \[inf, inf\]"),
        ({"score": np.zeros((3, 5))}, r"score has shape \(3, 5\): expected \(3, 4\)"),
        ({"score": np.full((3, 4), np.nan)}, "score holds NaN or infinite values .12 of 12."),
        ({"score": [["a"] * 4] * 3}, "score is .*of dtype"),
        ({"score": [[1, 2], [1]]}, "score cannot be made an array"),
        ({"confidence": "high"}, "confidence is 'high', of dtype"),
        ({"confidence": np.full((4, 3), 0.5)}, "a row for each sample: give confidence.T"),
        ({"cost": "cheap"}, "cost is 'cheap', of dtype"),
        ({"cost": 3}, "cost is 3: expected 3 finite numbers"),
        ({"names": 3}, "names is 3: expected the experts' names"),
        ({"labels": [1, 2]}, r"labels has shape \(2,\): expected \(4,\), one for each sample"),
        ({"params": [1, 2]}, r"params has shape \(2,\): expected \(3,\), one for each expert"),
        ({"lables": [1, 2, 3, 4]}, "unknown argument of Records.from_arrays 'lables': did you mean 'labels'"),
        ({"predictions": np.zeros((3, 4))}, "predictions is .*: expected a mapping"),
        ({"predictions": {"classes": np.zeros((3, 4), int)}}, r"'classes'\] has shape \(3, 4\): expected \(3, 4, K\)"),
        ({"predictions": {"classes": np.zeros((3, 5, 1), int)}}, r"has shape \(3, 5, 1\): expected \(3, 4, K\)"),
        ({"cost_unit": 5}, "cost_unit is 5: expected a name"),
        ({"cost": [1, 2]}, "cost is .*: expected 3 finite numbers"),
        ({"cost": [1, 2, -1]}, "at least 0"),
        ({"cost": [1, 2, np.nan]}, "finite"),
        ({"sample_ids": ["a", "b", "c"]}, "sample_ids has 3 names"),
        ({"sample_ids": ["a", "b", "c", "c"]}, "3 of them distinct: expected 4"),
        ({"pass_cost": [1, 2]}, "pass_cost is .*: expected 3"),
        ({"pass_cost": [0, -1, 0]}, "pass_cost is .*at least 0"),
        ({"pass_cost": [0, 1, 0], "shared_cost": [0, 0, 1]}, "give one of them"),
        ({"shared_cost": [0, 2, 1]}, "exits of one backbone must be the last experts"),
        ({"needs": [None, "nobody", None]}, "'nobody', which is not among the experts"),
        ({"needs": ["large", None, None]}, "expected an expert before it"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        Records.from_arrays(**arrays(**change))


def test_pass_cost_is_the_shared_cost_of_whoever_is_answered_behind() -> None:
    records = Records.from_arrays(**arrays(pass_cost=[0.5, 0.25, 100.0]))
    assert records.shared_cost.tolist() == [0, 0.5, 0.75]
    np.testing.assert_allclose(records.standalone_cost, [1, 2.5, 4.75])


@given(
    pass_cost=st.lists(st.floats(0, 10), min_size=4, max_size=4),
    exits=st.tuples(*[st.none() | st.sampled_from([0.0, 0.3, 0.6, 1.0])] * 3),
    seed=st.integers(0, 2**31),
)
def test_everyone_who_goes_past_an_expert_pays_its_pass_cost(
    pass_cost: list[float], exits: tuple[float | None, ...], seed: int
) -> None:
    """DESIGN, section 3: a part of an exit's cost is paid where it runs, a part by everyone who passes it."""
    rng = np.random.default_rng(seed)
    cost = np.array([1.0, 2.0, 3.0, 5.0])
    records = Records.from_arrays("abcd", cost, rng.random((4, 6)), np.zeros((4, 6)), pass_cost=pass_cost)
    outcome = replay(records, Policy(exits))
    for sample, answering in enumerate(outcome.expert.tolist()):
        enabled = [i for i in range(answering + 1) if i == 3 or exits[i] is not None]
        expected = cost[enabled].sum() + sum(pass_cost[:answering])
        assert outcome.sample_cost[sample] == pytest.approx(expected)


@given(m=st.integers(2, 40), fraction=st.floats(0.05, 0.95), seed=st.integers(0, 1000), data=st.data())
def test_a_split_depends_on_the_ids_and_not_on_their_order(
    m: int, fraction: float, seed: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(m)))
    ids = np.array([f"class{i % 3}/{i}.png" for i in range(m)])
    confidence = np.linspace(0, 1, m)
    score = np.zeros((1, m))
    one = Records.from_arrays(["a"], [1], confidence[None], score, ids.tolist())
    other = Records.from_arrays(["a"], [1], confidence[order][None], score, ids[order].tolist())
    first, second = one.split(fraction, seed)
    assert len(first) == round(fraction * m)
    assert {*first.sample_ids} | {*second.sample_ids} == {*ids}
    assert not {*first.sample_ids} & {*second.sample_ids}
    again, _ = other.split(fraction, seed)
    assert {*again.sample_ids} == {*first.sample_ids}
    where = dict(zip(one.sample_ids, one.confidence[0], strict=True))
    assert again.confidence[0].tolist() == [where[name] for name in again.sample_ids]


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.5])
def test_a_split_has_two_parts(fraction: float) -> None:
    with pytest.raises(OrxeError, match="expected a number between 0 and 1"):
        Records.from_arrays(**arrays()).split(fraction)


def test_samples_and_experts_keep_everything_aligned() -> None:
    predictions = {"classes": np.arange(24).reshape(3, 4, 2)}
    records = Records.from_arrays(
        **arrays(sample_ids="abcd", labels=np.arange(4), predictions=predictions, params=np.array([5, 6, 7]))
    )
    chosen = records.experts(["large", 0]).samples(np.array([False, True, False, True]))
    assert chosen.names == ("large", "small")
    assert chosen.cost.tolist() == [4, 1]
    assert chosen.params is not None and chosen.params.tolist() == [7, 5]
    assert chosen.sample_ids.tolist() == ["b", "d"]
    assert chosen.labels is not None and chosen.labels.tolist() == [1, 3]
    np.testing.assert_array_equal(chosen.confidence, records.confidence[[2, 0]][:, [1, 3]])
    np.testing.assert_array_equal(chosen.score, records.score[[2, 0]][:, [1, 3]])
    np.testing.assert_array_equal(chosen.predictions["classes"], predictions["classes"][[2, 0]][:, [1, 3]])
    assert chosen.sorted_by_cost().names == ("small", "large")


def test_an_expert_goes_with_the_one_that_it_needs() -> None:
    records = Records.from_arrays(**arrays(needs=[None, "small", None]))
    assert records.standalone_cost.tolist() == [1, 3, 4]
    assert records.experts(["small", "medium"]).needs == (-1, 0)
    with pytest.raises(OrxeError, match="builds on the answer of 'small'"):
        records.experts(["medium", "large"])


def test_an_unknown_expert_is_named_with_the_nearest() -> None:
    records = Records.from_arrays(**arrays())
    with pytest.raises(OrxeError, match="unknown expert 'larg': did you mean 'large'"):
        records.experts(["small", "larg"])
    with pytest.raises(OrxeError, match="expert 3 of 3: expected 0 to 2"):
        records.experts([3])
