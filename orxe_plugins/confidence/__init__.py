"""Confidence providers: one number in [0, 1] per sample, computed from an expert's outputs."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.confidence.advantage import Advantage
    from orxe_plugins.confidence.boxes import BoxDoubt, MeanBoxScore
    from orxe_plugins.confidence.constant import Constant
    from orxe_plugins.confidence.gate import RankingGate, save_gate
    from orxe_plugins.confidence.pixels import MeanPixelConfidence
    from orxe_plugins.confidence.provider import (
        ConfidenceProvider,
        confidence_from_dict,
        confidence_names,
        register_confidence,
    )
    from orxe_plugins.confidence.softmax import Margin, MaxSoftmax, NegativeEntropy, fit_temperature
else:
    _PLACES = {
        "Advantage": "orxe_plugins.confidence.advantage",
        "BoxDoubt": "orxe_plugins.confidence.boxes",
        "ConfidenceProvider": "orxe_plugins.confidence.provider",
        "Constant": "orxe_plugins.confidence.constant",
        "Margin": "orxe_plugins.confidence.softmax",
        "MaxSoftmax": "orxe_plugins.confidence.softmax",
        "MeanBoxScore": "orxe_plugins.confidence.boxes",
        "MeanPixelConfidence": "orxe_plugins.confidence.pixels",
        "NegativeEntropy": "orxe_plugins.confidence.softmax",
        "RankingGate": "orxe_plugins.confidence.gate",
        "confidence_from_dict": "orxe_plugins.confidence.provider",
        "confidence_names": "orxe_plugins.confidence.provider",
        "fit_temperature": "orxe_plugins.confidence.softmax",
        "register_confidence": "orxe_plugins.confidence.provider",
        "save_gate": "orxe_plugins.confidence.gate",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Advantage",
    "BoxDoubt",
    "ConfidenceProvider",
    "Constant",
    "Margin",
    "MaxSoftmax",
    "MeanBoxScore",
    "MeanPixelConfidence",
    "NegativeEntropy",
    "RankingGate",
    "confidence_from_dict",
    "confidence_names",
    "fit_temperature",
    "register_confidence",
    "save_gate",
]
