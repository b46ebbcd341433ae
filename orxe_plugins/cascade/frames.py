"""Frames of one video, one after the other: the expert that was needed stays in force for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.counting import count_unknown
from orxe_plugins.cascade.entrances import refuse_guarded
from orxe_plugins.cascade.routing import route_batch
from orxe_plugins.cascade.stream_answer import StreamAnswer
from orxe_plugins.data.batch import samples_of, stacked
from orxe_plugins.policies.policy import Policy
from orxe_plugins.util.arguments import check_count


class Frames:
    """Answers frames in turn, with hysteresis: neighbouring frames are seldom answered by different experts.

    Where a frame had to go on to a costlier expert, that one alone answers the next ``hold`` frames; then the cascade
    decides again. Answers flicker less, and frames that would go through two experts go through one.

    Args:
        cascade: whose experts and policy they are.
        hold: frames for which an expert stays in force; 0 lets the cascade decide on each.

    Attributes:
        n_frames: frames answered so far.
        changes: how many of them another expert answered than the frame before.
    """

    def __init__(self, cascade: Cascade, hold: int = 8) -> None:
        self._cascade = cascade
        self._hold = check_count("hold", hold)
        self._left = 0
        self._last = -1
        self._policy: Policy | None = None
        self.n_frames = 0
        self.changes = 0

    @property
    def flicker_rate(self) -> float:
        """Share of the frames that another expert answered than the one before; 0 where there are fewer than two."""
        return self.changes / max(self.n_frames - 1, 1)

    def answers(self, frames: Iterable[Any]) -> Iterator[StreamAnswer]:
        """One answer for each frame, at once. A policy that is switched meanwhile is in force from the next frame on.

        Args:
            frames: single frames, as :meth:`orxe_plugins.Cascade.stream` takes them.

        Raises:
            OrxeError: a guard keeps the cascade's budget, of which a held expert would know nothing.
        """
        for frame in frames:
            with torch.no_grad():
                answer = self._answer(stacked([frame]))
            yield answer

    def _answer(self, batch: Any) -> StreamAnswer:
        refuse_guarded(self._cascade.guard, "Frames holds an expert")
        experts, policy = self._cascade.members, self._cascade.policy
        if policy != self._policy:
            self._policy, self._left = policy, 0
        is_held, first = self._left > 0, policy.enabled[0]
        if is_held:
            self._left -= 1
            policy = Policy.only(self._last, len(experts))
        count_unknown(experts, policy, batch)
        outputs, route = route_batch(experts, policy, batch, self._cascade.context(batch))
        there = route.to_host()
        expert = int(there.expert[0])
        if not is_held and expert != first:
            self._left = self._hold
        self.changes += self._last not in (-1, expert)
        self._last = expert
        number, self.n_frames = self.n_frames, self.n_frames + 1
        (output,) = samples_of(outputs)
        confidence, cost = float(there.confidence[0]), float(there.cost[0])
        return StreamAnswer(number, output, expert, confidence, cost, None, there.faults)
