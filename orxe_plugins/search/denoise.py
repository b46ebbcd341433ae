"""Denoise: recorded scores replaced by expected ones, for a search on few samples.

A recorded score of 0 or 1 is a coin that was thrown once. With few samples, a search finds thresholds that had luck.
The expected score given all experts' confidences is no coin; thresholds that are best for it hold on new samples.
"""

from __future__ import annotations

from dataclasses import replace

from orxe_plugins.records.records import Records
from orxe_plugins.search.expected.model import MAX_SAMPLES, STRENGTH, ExpectedScores


def denoised(records: Records, *, strength: float = STRENGTH, max_samples: int = MAX_SAMPLES, seed: int = 0) -> Records:
    """The records with expected scores instead of recorded ones.

    Whether expert i scores on a sample is regressed on the logits of all experts' confidences on it (logistic ridge).
    For each expert, the mean stays what was recorded, expected scores lie within the range of the recorded ones, and
    scores that are all equal stay as they are.

    Args:
        records: N experts, M samples, with scores in {0, 1}, in [0, 1], or in any range.
        strength: of the ridge, above 0; scikit-learn's C is one over it.
        max_samples: fit the regression on at most so many samples; all get an expected score.
        seed: of the draw of these samples.

    Returns:
        Records with float32 scores; ``details["scores"]`` says how they came about.

    Raises:
        OrxeError: there is no sample, or an argument is out of range.
    """
    model = ExpectedScores.fit(records, strength=strength, max_samples=max_samples, seed=seed)
    return replace(records, score=model(records.confidence), details={**records.details, "scores": describe(model)})


def describe(model: ExpectedScores) -> dict[str, object]:
    """How expected scores came about, as JSON values."""
    return {"kind": "denoised", "method": "logistic ridge on the logits of all confidences",
            "strength": model.strength, "samples": len(model.fitted_on)}  # fmt: skip
