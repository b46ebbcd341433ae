"""Answering: a cascade's answers to images as plain values, whatever engine serves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.guard import BudgetGuard
from orxe_plugins.cascade.route import Route
from orxe_plugins.data.batch import take_rows
from orxe_plugins.detection.detections import Detections
from orxe_plugins.serving.loading import Served
from orxe_plugins.tasks.task import Task


@dataclass(frozen=True)
class Answering:
    """Answers images with a cascade.

    Attributes:
        cascade: the cascade.
        task: says what an answer is in plain values.
        labels: names of the classes; empty where they are not known.
        unit: unit of the costs.
        guard: keeps the mean cost; None for none.
        timeout: seconds within which a batch is answered; None waits for every expert.
    """

    cascade: Cascade
    task: Task
    labels: tuple[str, ...] = ()
    unit: str = "GMACs"
    guard: BudgetGuard | None = None
    timeout: float | None = None

    @classmethod
    def of(cls, served: Served, timeout: float | None = None) -> Answering:
        """The answers of a cascade that is loaded."""
        unit, labels = served.file.table.cost_unit, served.file.labels or ()
        return cls(served.cascade, served.task, labels, unit, served.guard, timeout)

    def route(self, batch: Any) -> tuple[Any, Route]:
        """Outputs for B samples and their routes; an expert that fails on a sample costs that sample alone."""
        return self.route_within(batch, self.timeout)

    def route_within(self, batch: Any, timeout: float | None) -> tuple[Any, Route]:
        """The same within so many seconds; None waits for every expert."""
        with torch.inference_mode():
            return self.cascade.route(batch, on_error="best_available", timeout=timeout)

    def told(self, outputs: Any, route: Route) -> list[dict[str, Any]]:
        """Outputs as plain values: the task's own, ``name`` of a class, ``expert``, ``confidence`` and ``cost``.

        Experts that failed on a sample are its ``faults``. A sample that no expert answered has an ``error`` instead.
        """
        route = route.to_host()
        answered = (route.expert >= 0).nonzero().squeeze(1)
        given = outputs if len(answered) == len(route.expert) else take_rows(outputs, answered)
        told = iter(values_of(self.task, self.labels, given) if len(answered) else [])
        return [answer if "error" in answer else {**next(told), **answer} for answer in self.named(route)]

    def named(self, route: Route) -> list[dict[str, Any]]:
        """The same without the outputs."""
        names = [expert.name for expert in self.cascade.members]
        route = route.to_host()
        answers: list[dict[str, Any]] = []
        for expert, confidence, cost in zip(
            route.expert.tolist(), route.confidence.tolist(), route.cost.tolist(), strict=True
        ):
            price = {"cost": float(f"{cost:.6g}"), "cost_unit": self.unit}
            if expert < 0:
                answers.append({"error": "no expert gave an answer", "expert": None, **price})
            else:
                answers.append({"expert": names[expert], "confidence": round(confidence, 6), **price})
        for row, expert, message in route.faults:
            answers[row].setdefault("faults", []).append({"expert": names[expert], "error": message})
        return answers


def raw_of(outputs: Any) -> list[Any] | None:
    """Each output in full precision as JSON values: logits, or ``boxes`` and ``scores``, best first.

    None where outputs are neither. A sample without an answer has any value or None.
    """
    if isinstance(outputs, torch.Tensor):
        return list(outputs.tolist())
    if isinstance(outputs, list) and all(one is None or isinstance(one, Detections) for one in outputs):
        best = [None if one is None else one.best_first() for one in outputs]
        return [None if one is None else {"boxes": one.boxes.tolist(), "scores": one.scores.tolist()} for one in best]
    return None


def values_of(task: Task, labels: Sequence[str], outputs: Any) -> list[dict[str, Any]]:
    """Each answer's own values as the task gives them, and the name of its class.

    Args:
        task: the task.
        labels: names of the classes; empty where they are not known.
        outputs: of B samples.
    """
    found = []
    for text, value in zip(task.describe(outputs), task.values(outputs), strict=True):
        answer: dict[str, Any] = dict(value) or {"answer": text}
        index = value.get("class")
        if isinstance(index, int):
            answer["name"] = (labels[index] if index < len(labels) else "") or text
        found.append(answer)
    return found
