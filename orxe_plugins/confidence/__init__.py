"""Confidence providers: one number in [0, 1] per sample, out of an expert's outputs."""

from orxe_plugins.confidence.boxes import MeanBoxScore
from orxe_plugins.confidence.constant import Constant
from orxe_plugins.confidence.gate import RankingGate
from orxe_plugins.confidence.pixels import MeanPixelConfidence
from orxe_plugins.confidence.provider import ConfidenceProvider, confidence_from_dict, register_confidence
from orxe_plugins.confidence.softmax import Margin, MaxSoftmax, NegativeEntropy, fit_temperature

__all__ = [
    "ConfidenceProvider",
    "Constant",
    "Margin",
    "MaxSoftmax",
    "MeanBoxScore",
    "MeanPixelConfidence",
    "NegativeEntropy",
    "RankingGate",
    "confidence_from_dict",
    "fit_temperature",
    "register_confidence",
]
