"""Who records: one process, or several that share the shards of each expert."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import pyarrow as pa
import torch

from orxe_plugins.experts.expert import Expert
from orxe_plugins.records.making import ShardJob, make_here

_Result = TypeVar("_Result")


class Team:
    """One process alone. Teams of several override what is different for them.

    Attributes:
        leads: whether this process is the one that holds the folder's lock, removes and tells.
    """

    leads = True

    def in_turn(self, work: Callable[[], _Result]) -> _Result:
        """Do work in every process, first in the one that leads."""
        return work()

    def meet(self) -> None:
        """Wait until every process has come here."""

    def share(self, shards: Sequence[int]) -> list[int]:
        """Which of the shards this process is to see to."""
        return list(shards)

    def place(self, expert: Expert) -> Expert:
        """An expert that was just loaded, on the device that this process has for it."""
        return expert

    def make(self, job: ShardJob, advance: Callable[[int], None]) -> Iterator[tuple[int, Mapping[str, pa.Array]]]:
        """See :func:`orxe_plugins.records.making.make_here`."""
        return make_here(job, advance)


class Ranks(Team):
    """The processes that ``torchrun`` started: each makes every so many-th shard, and all write to one folder.

    A rank that is killed ends the others, as torchrun sees to it; what is in place stays, and a rerun makes the rest.
    """

    def __init__(self) -> None:
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.leads = self.rank == 0

    def in_turn(self, work: Callable[[], _Result]) -> _Result:
        """Do work in every process, first in that of rank 0."""
        if not self.leads:
            self.meet()
            return work()
        result = work()
        self.meet()
        return result

    def meet(self) -> None:
        """Wait until every rank has come here."""
        torch.distributed.barrier()

    def share(self, shards: Sequence[int]) -> list[int]:
        """Those whose number belongs to this rank, whatever others have made meanwhile."""
        return [shard for shard in shards if shard % self.size == self.rank]

    def place(self, expert: Expert) -> Expert:
        """The expert on this rank's own GPU, where there are any."""
        if not torch.cuda.is_available():
            return expert
        return expert.to(f"cuda:{int(os.environ.get('LOCAL_RANK', self.rank)) % torch.cuda.device_count()}")


@contextlib.contextmanager
def own_team() -> Iterator[Team]:
    """The ranks that this process is one of; a team of one where it was not started by ``torchrun``."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Team()
        return
    # A rank may have to wait for another one that records for days.
    torch.distributed.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        yield Ranks()
    finally:
        torch.distributed.destroy_process_group()
