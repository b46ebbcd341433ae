"""The ways into a cascade: a batch, a stream, a batch with a fixed budget; and what makes them fast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from orxe_plugins.cascade.batched_stream import in_batches
from orxe_plugins.cascade.budgeted import route_budgeted
from orxe_plugins.cascade.counting import count_unknown
from orxe_plugins.cascade.faults import check_on_error
from orxe_plugins.cascade.optimize import BATCH_SIZES, OptimizeOptions, optimize_experts
from orxe_plugins.cascade.optimize_report import OptimizeReport
from orxe_plugins.cascade.route import Route
from orxe_plugins.cascade.routing import route_batch, route_dense
from orxe_plugins.cascade.stream import Stream
from orxe_plugins.cascade.stream_answer import StreamAnswer, StreamOptions, check_seconds
from orxe_plugins.cascade.tolerant import route_tolerant
from orxe_plugins.cost.sharing import positions_of
from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.policy import Policy
from orxe_plugins.util.devices import usable_device
from orxe_plugins.util.exporting import is_exporting

if TYPE_CHECKING:
    from orxe_plugins.cascade.cascade import Cascade
    from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
    from orxe_plugins.experts.expert import Expert
    from orxe_plugins.policies.table import PolicyTable


class Guard(Protocol):
    """What may take the place of a cascade's own routing."""

    def route(self, batch: Any, *, on_error: str = "raise", timeout: float | None = None) -> tuple[Any, Route]:
        """Outputs for B samples, and the route of each: see :meth:`Cascade.route`."""


def refuse_guarded(guard: Guard | None, what: str) -> None:
    """Raise where a guard is to keep a budget, by whose policies not everything goes.

    Args:
        guard: the cascade's guard; None for none.
        what: what goes by policies of its own.
    """
    if guard is not None:
        raise OrxeError(
            f"{what}, whatever the cascade's {type(guard).__name__} allows: set cascade.guard = None first, or use "
            "cascade.route or cascade.stream"
        )


class Entrances:
    """What a :class:`~orxe_plugins.Cascade` answers by, and the device that it was optimized for.

    Attributes:
        on_error: what :meth:`route` and :meth:`stream` do about faults unless they are told.
    """

    if TYPE_CHECKING:
        setup: CascadeSetup
        table: PolicyTable | None
        dense: bool
        guard: Guard | None

        @property
        def members(self) -> tuple[Expert, ...]: ...

        @property
        def policy(self) -> Policy: ...

        def context(self, batch: Any) -> BatchContext: ...

    on_error: str = "raise"
    _device: torch.device | None = None

    def route(self, batch: Any, *, on_error: str | None = None, timeout: float | None = None) -> tuple[Any, Route]:
        """Outputs for B samples, and which expert gave each of them at what cost.

        A sample enters the first enabled expert. After expert i with confidence c it exits if
        c >= exit_thresholds[i]; else it goes to the first enabled j > i with
        c >= skip_thresholds[j]; the last one always answers. A NaN confidence counts as 0.

        Args:
            batch: the samples (see ``orxe_plugins.data.batch``).
            on_error: what to do where an expert fails on samples: "raise" raises its error; "best_available" lets the
                last expert before it that gave an answer answer them, or else the experts behind it, and lists them in
                ``route.faults``. A sample without any answer has the expert -1, and NaN or None as its output. By
                default as ``cascade.on_error`` says, which is "raise".
            timeout: seconds within which to return; experts that hang longer fail. None waits for them.

        Raises:
            OrxeError: an expert gave another number of answers than it was handed samples, or did not finish in time.
        """
        policy, context = self.policy, self.context(batch)
        on_error = check_on_error(on_error or self.on_error)
        if is_exporting():
            context.setup = replace(context.setup, fast={})  # a graph of one batch size is none of a traced model
            return route_dense(self.members, policy, batch, context)
        if self.guard is not None and not self.dense:
            return self.guard.route(batch, on_error=on_error, timeout=timeout)
        if on_error != "raise" or timeout is not None:
            check_seconds("timeout", timeout)
            return route_tolerant(self.members, policy, batch, context, on_error, timeout)
        count_unknown(self.members, policy, batch)
        return (route_dense if self.dense else route_batch)(self.members, policy, batch, context)

    def stream(
        self,
        items: Iterable[Any],
        batch_size: int = 64,
        max_wait: float | None = None,
        ordered: bool = True,
        on_error: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[StreamAnswer]:
        """One answer for each of many samples; those that go on wait until a batch of them is full.

        Samples are taken in as they are asked for, and each keeps the policy that was in force then. At most
        ``2 * batch_size`` samples wait for each expert; in order, at most 33 batches of answers wait for an older one.

        Args:
            items: single samples: tensors without the dimension of the batch, images, mappings. Exceptions among them,
                and those that reading one raises, are samples that cannot be read.
            batch_size: samples that an expert is handed at once.
            max_wait: seconds that a sample waits for others at each expert; samples are then read ahead in a thread of
                its own. None lets it wait until the batch is full or there are no more.
            ordered: give the answers in the order of the samples; else as they come.
            on_error: "raise" raises what an expert or reading a sample raises; "best_available" gives an answer or an
                error for every sample, see :meth:`route`. By default as ``cascade.on_error`` says.
            timeout: seconds that one call of an expert may take; the samples that hang then fail, and the others go on.

        Raises:
            OrxeError: an argument is out of range.
        """
        options = StreamOptions(batch_size, max_wait, ordered, on_error or self.on_error, timeout)
        if self.guard is not None:
            return in_batches(self.as_cascade, items, options)
        return Stream(self.as_cascade, items, options).answers()

    def route_budgeted(self, batch: Any, onward: Sequence[int]) -> tuple[Any, Route]:
        """Outputs for B samples where a fixed number of them goes on from each expert: the least sure ones.

        No threshold is looked at. Every batch costs the same and has the same shapes, and the host waits for nothing.

        Args:
            batch: the samples.
            onward: how many samples go on from each expert but the last; 0 from one lets nobody go any further. No
                more go on than came.

        Raises:
            OrxeError: the numbers are not one for each expert but the last, or are below 0; or a guard keeps the
                cascade's budget.
        """
        refuse_guarded(self.guard, "route_budgeted lets fixed numbers of samples go on")
        count_unknown(self.members, Policy.uniform(1.0, len(self.members)), batch)
        return route_budgeted(self.members, onward, batch, self.context(batch))

    def optimize(
        self,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        batch_sizes: Sequence[int] = BATCH_SIZES,
        backend: str | None = None,
        example: Any = None,
        threads: Sequence[int] = (),
    ) -> OptimizeReport:
        """Move the experts to a device and let each run there in the way that is measured to be the fastest.

        The answers are the same but for rounding; they carry no gradients. It holds for this cascade alone, and until
        the weights change or move, or parts of a model are exchanged: experts then run as ever until it is called
        again (what is written through ``weight.data`` is not seen). Experts that no policy of the table uses stay in
        the host's memory until one does.

        Args:
            device: where to run; by default where the last expert is.
            dtype: run models under autocast to it; None: in the precision of their weights.
            batch_sizes: sizes of batches to measure, and to capture graphs for, with some between where a step takes
                an expert much longer: batches of other sizes are cut into some of them, whatever takes the least time.
            backend: "graphs" captures CUDA graphs; "compile" uses ``torch.compile``, and captures what it gives on a
                CUDA device; "eager" only tries other layouts in memory. By default "graphs" on CUDA devices, else
                "compile". On a CPU each way is used at the sizes at which it is the fastest.
            example: samples of the kind that will be routed, for experts that do not know what their model takes.
            threads: on a CPU, numbers of torch's threads to try; the one on which all experts together take the least
                time is set for the whole process. Empty leaves it as it is.

        Returns:
            How each expert runs, why where it runs as before, and what time and memory it took.

        Raises:
            OrxeError: an argument is out of range, or there is no such device.
        """
        where = self.members[-1].device if device is None else usable_device(device)
        chosen = backend or ("graphs" if where.type == "cuda" else "compile")
        options = OptimizeOptions(where, dtype, batch_sizes, chosen, threads)
        used = self._used()
        for i, expert in enumerate(self.members):
            if i not in used:
                expert.to("cpu")
        self.setup = replace(self.setup, fast={})
        fast, report = optimize_experts(self.members, used, self.setup, options, example)
        self._device = self.members[used[0]].device
        self.setup = replace(self.setup, fast=fast)
        return report

    def bring(self, policy: Policy) -> None:
        """Move the experts that a policy uses to the device that the cascade was optimized for, if it was."""
        if self._device is None:
            return
        for i in self._needed(policy):
            if self.members[i].device != self._device:
                self.members[i].to(self._device)

    def _used(self) -> list[int]:
        """The experts that the policy in force, or one of the table, can send a sample to."""
        policies = [self.policy, *(row.policy for row in self.table or ())]
        return sorted({i for policy in policies for i in self._needed(policy)})

    def _needed(self, policy: Policy) -> set[int]:
        needs = positions_of([e.name for e in self.members], [e.needs for e in self.members])
        return {j for i in policy.reachable for j in (i, needs[i]) if j >= 0}

    @property
    def as_cascade(self) -> Cascade:
        """This object, as what it is."""
        return self  # type: ignore[return-value]
