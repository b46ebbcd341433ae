"""Samples on their way through a cascade, each with what is known of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from orxe_plugins.cascade.faults import Fault
from orxe_plugins.data.batch import Rows, joined, stacked, take_rows
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup


@dataclass(eq=False)
class Parcel:
    """K samples that wait for one expert together.

    Attributes:
        number: the samples' numbers, int64 (K,).
        policy: number of the policy that each of them entered with, int64 (K,).
        batch: the samples (see ``orxe_plugins.data.batch``).
        context: what experts left for one another.
        expert: who answered so far, int64 (K,); -1: nobody.
        confidence: of that answer, float32 (K,); 0 where there is none.
        ran: which experts were handed the sample, bool (K, N).
        seen: how sure each expert was of it, float32 (K, N); NaN where none answered.
        answers: the answers so far, K of them, None where there is none; empty where nobody will ask for them.
        faults: what went wrong, by a sample's number.
        since: when the one that has waited longest began to, in seconds.
        loose: the batch was made of single samples: tensors that lie in a list are stacked where they are of one shape.
    """

    number: np.ndarray
    policy: np.ndarray
    batch: Any
    context: BatchContext
    expert: np.ndarray
    confidence: np.ndarray
    ran: np.ndarray
    seen: np.ndarray
    answers: list[Any]
    faults: dict[int, list[tuple[Fault, Exception]]] = field(default_factory=dict)
    since: float = 0.0
    loose: bool = False

    @classmethod
    def of(
        cls, number: Sequence[int], policy: Sequence[int], batch: Any, setup: CascadeSetup, n_experts: int
    ) -> Parcel:
        """Samples that nobody has seen yet."""
        size = len(number)
        return cls(
            np.asarray(number, dtype=np.int64),
            np.asarray(policy, dtype=np.int64),
            batch,
            BatchContext(size, setup),
            np.full(size, -1, dtype=np.int64),
            np.zeros(size, dtype=np.float32),
            np.zeros((size, n_experts), dtype=bool),
            np.full((size, n_experts), np.nan, dtype=np.float32),
            [None] * size,
        )

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, index: np.ndarray) -> Any:
        """Some of the samples as a batch."""
        batch = self.batch if len(index) == len(self) else take_rows(self.batch, Rows(torch.from_numpy(index)))
        return stacked(batch) if self.loose and isinstance(batch, list) else batch

    def take(self, index: np.ndarray, since: float) -> Parcel:
        """Some of the samples, by their places, with what is known of them."""
        if len(index) == len(self):
            self.since = since
            return self
        rows = Rows(torch.from_numpy(index))
        number = self.number[index]
        return Parcel(
            number,
            self.policy[index],
            take_rows(self.batch, rows),
            self.context.taken(rows),
            self.expert[index],
            self.confidence[index],
            self.ran[index],
            self.seen[index],
            [self.answers[i] for i in index] if self.answers else [],
            {n: self.faults[n] for n in number.tolist() if n in self.faults} if self.faults else {},
            since,
            self.loose,
        )

    def finished(self, place: int, output: Any, number: int, expert: int, confidence: float, cost: float) -> Finished:
        """What becomes of the sample at a place, given the output of the expert that answered it."""
        noted = self.faults.get(number, ())
        error = noted[-1][1] if noted and expert < 0 else None
        given = output if expert >= 0 else None
        faults = tuple(fault for fault, _ in noted)
        return Finished(number, given, expert, confidence, cost, self.ran[place], self.seen[place], error, faults)

    def split(self, size: int) -> tuple[Parcel, Parcel]:
        """The first ``size`` samples, and the others."""
        places = np.arange(len(self))
        return self.take(places[:size], self.since), self.take(places[size:], self.since)

    @staticmethod
    def joined(parcels: Sequence[Parcel]) -> Parcel:
        """Several parcels as one."""
        if len(parcels) == 1:
            return parcels[0]
        arrays = [np.concatenate([getattr(p, name) for p in parcels]) for name in ("number", "policy")]
        names = ("expert", "confidence", "ran", "seen")
        known = [np.concatenate([getattr(p, name) for p in parcels]) for name in names]
        faults = {number: some for parcel in parcels for number, some in parcel.faults.items()}
        return Parcel(
            arrays[0],
            arrays[1],
            joined([parcel.batch for parcel in parcels]),
            BatchContext.joined([parcel.context for parcel in parcels]),
            known[0],
            known[1],
            known[2],
            known[3],
            [answer for parcel in parcels for answer in parcel.answers] if all(p.answers for p in parcels) else [],
            faults,
            min(parcel.since for parcel in parcels),
            all(parcel.loose for parcel in parcels),
        )


@dataclass(frozen=True, eq=False)
class Finished:
    """What a cascade answers to one sample.

    Attributes:
        number: the sample's number.
        output: the answer; None where there is none.
        expert: who gave it; -1: nobody.
        confidence: that expert's.
        cost: of all experts that the sample was handed to.
        ran: which these are, bool (N,).
        seen: how sure each expert was, float32 (N,); NaN where none answered.
        error: why there is no answer.
        faults: what went wrong on the way.
    """

    number: int
    output: Any
    expert: int
    confidence: float
    cost: float
    ran: np.ndarray
    seen: np.ndarray
    error: Exception | None = None
    faults: tuple[Fault, ...] = ()


@dataclass
class Outcome:
    """What came of a parcel: answers, and the parcels that go on, by the expert that they go to."""

    finished: list[Finished] = field(default_factory=list)
    onward: dict[int, Parcel] = field(default_factory=dict)

    @staticmethod
    def joined(outcomes: Sequence[Outcome]) -> Outcome:
        """What came of the parts of a parcel, as one outcome."""
        if len(outcomes) == 1:
            return outcomes[0]
        onward: dict[int, list[Parcel]] = {}
        for outcome in outcomes:
            for goal, parcel in outcome.onward.items():
                onward.setdefault(goal, []).append(parcel)
        return Outcome(
            [one for outcome in outcomes for one in outcome.finished],
            {goal: Parcel.joined(parcels) for goal, parcels in onward.items()},
        )
