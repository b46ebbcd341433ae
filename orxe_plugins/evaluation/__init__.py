"""Evaluation: figures of a cascade on recorded samples, with their intervals."""

from typing import TYPE_CHECKING

# Not lazy: the function has the name of its module.
from orxe_plugins.evaluation.evaluate import evaluate
from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.evaluation.baselines import Baseline, common_threshold, oracle, random_mixing, single_experts
    from orxe_plugins.evaluation.drift import DriftAlarm, DriftState
    from orxe_plugins.evaluation.gate import GateEvaluation, GateSplits, evaluate_gates
    from orxe_plugins.evaluation.intervals import Bootstrap, bootstrap, clopper_pearson
    from orxe_plugins.evaluation.metric import Metric
    from orxe_plugins.evaluation.powered import prediction_powered
    from orxe_plugins.evaluation.results import Estimate, Evaluation, Verdict
    from orxe_plugins.evaluation.routed import RoutedOutcome, disagreements, run_routed
    from orxe_plugins.evaluation.samples import IntervalSettings
    from orxe_plugins.evaluation.saver import SaverEvaluation, evaluate_saver
    from orxe_plugins.evaluation.view_shift import ViewShift, measure_shift
else:
    _PLACES = {
        "Baseline": "orxe_plugins.evaluation.baselines",
        "Bootstrap": "orxe_plugins.evaluation.intervals",
        "DriftAlarm": "orxe_plugins.evaluation.drift",
        "DriftState": "orxe_plugins.evaluation.drift",
        "Estimate": "orxe_plugins.evaluation.results",
        "Evaluation": "orxe_plugins.evaluation.results",
        "GateEvaluation": "orxe_plugins.evaluation.gate",
        "GateSplits": "orxe_plugins.evaluation.gate",
        "IntervalSettings": "orxe_plugins.evaluation.samples",
        "Metric": "orxe_plugins.evaluation.metric",
        "RoutedOutcome": "orxe_plugins.evaluation.routed",
        "SaverEvaluation": "orxe_plugins.evaluation.saver",
        "Verdict": "orxe_plugins.evaluation.results",
        "ViewShift": "orxe_plugins.evaluation.view_shift",
        "bootstrap": "orxe_plugins.evaluation.intervals",
        "common_threshold": "orxe_plugins.evaluation.baselines",
        "oracle": "orxe_plugins.evaluation.baselines",
        "prediction_powered": "orxe_plugins.evaluation.powered",
        "random_mixing": "orxe_plugins.evaluation.baselines",
        "single_experts": "orxe_plugins.evaluation.baselines",
        "clopper_pearson": "orxe_plugins.evaluation.intervals",
        "disagreements": "orxe_plugins.evaluation.routed",
        "evaluate_gates": "orxe_plugins.evaluation.gate",
        "evaluate_saver": "orxe_plugins.evaluation.saver",
        "measure_shift": "orxe_plugins.evaluation.view_shift",
        "run_routed": "orxe_plugins.evaluation.routed",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Baseline",
    "Bootstrap",
    "DriftAlarm",
    "DriftState",
    "Estimate",
    "Evaluation",
    "GateEvaluation",
    "GateSplits",
    "IntervalSettings",
    "Metric",
    "RoutedOutcome",
    "SaverEvaluation",
    "Verdict",
    "ViewShift",
    "bootstrap",
    "clopper_pearson",
    "common_threshold",
    "disagreements",
    "evaluate",
    "evaluate_gates",
    "evaluate_saver",
    "measure_shift",
    "oracle",
    "prediction_powered",
    "random_mixing",
    "run_routed",
    "single_experts",
]
