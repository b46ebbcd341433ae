"""Answering: a cascade's answers to images as plain values, whatever engine serves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.guard import BudgetGuard
from orxe_plugins.cascade.routing import Route
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
    """

    cascade: Cascade
    task: Task
    labels: tuple[str, ...] = ()
    unit: str = "GMACs"
    guard: BudgetGuard | None = None

    @classmethod
    def of(cls, served: Served) -> Answering:
        """What a cascade's folder needs to be answered from."""
        return cls(served.cascade, served.task, served.file.labels or (), served.file.table.cost_unit, served.guard)

    def answer(self, images: Sequence[Any]) -> tuple[list[dict[str, Any]], Route]:
        """The answers to B original images, and the route of each."""
        with torch.inference_mode():
            outputs, route = self.cascade.route(list(images))
        return self.told(outputs, route), route

    def told(self, outputs: Any, route: Route) -> list[dict[str, Any]]:
        """Outputs as plain values: the task's own, ``name`` of a class, ``expert``, ``confidence`` and ``cost``."""
        names = [expert.name for expert in self.cascade.members]
        texts, values = self.task.describe(outputs), self.task.values(outputs)
        columns = (route.expert.tolist(), route.confidence.tolist(), route.cost.tolist())
        answers = []
        for text, value, expert, confidence, cost in zip(texts, values, *columns, strict=True):
            answer: dict[str, Any] = dict(value) or {"answer": text}
            index = value.get("class")
            if isinstance(index, int):
                answer["name"] = self.labels[index] if index < len(self.labels) else text
            answer |= {"expert": names[expert], "confidence": round(confidence, 6), "cost": float(f"{cost:.6g}")}
            answers.append({**answer, "cost_unit": self.unit})
        for row, expert, message in getattr(route, "faults", ()):
            answers[row].setdefault("faults", []).append({"expert": names[expert], "error": message})
        return answers
