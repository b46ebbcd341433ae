from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orxe_plugins.confidence import Margin, MaxSoftmax, NegativeEntropy, confidence_from_dict, fit_temperature
from orxe_plugins.errors import OrxeError

logits = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(2, 9)), elements=st.floats(-80, 80, width=32))


@given(logits, st.sampled_from([0.1, 1.0, 3.0]))
def test_every_confidence_lies_between_0_and_1_and_grows_with_the_odds(values: np.ndarray, temperature: float) -> None:
    outputs = torch.from_numpy(values)
    for kind in (MaxSoftmax, Margin, NegativeEntropy):
        confidence = kind(temperature)(outputs)
        assert confidence.shape == (len(values),) and confidence.dtype == torch.float32
        assert ((confidence >= 0) & (confidence <= 1)).all()
        # A constant added to every logit changes nothing.
        torch.testing.assert_close(kind(temperature)(outputs + 3), confidence, atol=1e-4, rtol=0)


def test_confidences_of_known_distributions() -> None:
    outputs = torch.log(torch.tensor([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]))
    torch.testing.assert_close(MaxSoftmax()(outputs), torch.tensor([0.5, 1 / 3]))
    torch.testing.assert_close(Margin()(outputs), torch.tensor([0.25, 0.0]))
    entropy = 1.5 * np.log(2) / np.log(3)
    torch.testing.assert_close(NegativeEntropy()(outputs), torch.tensor([1 - float(entropy), 0.0]), atol=1e-6, rtol=0)


def test_a_certain_class_has_full_confidence_and_nan_stays_nan() -> None:
    outputs = torch.tensor([[float("-inf"), 0.0], [float("nan"), 0.0]])
    for kind in (MaxSoftmax, Margin, NegativeEntropy):
        sure, broken = kind()(outputs).tolist()
        assert sure == 1.0 and np.isnan(broken)


def test_the_fitted_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(20_000, 5)) * 2
    odds = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = (odds.cumsum(1) > rng.random((len(odds), 1))).argmax(1)
    assert fit_temperature(honest * 3, labels) == pytest.approx(3, rel=0.05)
    assert fit_temperature(honest, labels) == pytest.approx(1, rel=0.05)


def test_providers_survive_their_dictionary() -> None:
    for provider in (MaxSoftmax(), MaxSoftmax(2.5), Margin(0.5), NegativeEntropy()):
        twin = confidence_from_dict(provider.to_dict())
        assert type(twin) is type(provider) and twin.to_dict() == provider.to_dict()
    with pytest.raises(OrxeError, match="unknown confidence 'max_softmx': did you mean 'max_softmax'"):
        confidence_from_dict("max_softmx")
    with pytest.raises(OrxeError, match="temperature is 0"):
        MaxSoftmax(0)
