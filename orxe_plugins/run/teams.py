"""Who records a run: this process, the ranks of ``torchrun``, or the workers of a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orxe_plugins.errors import unknown
from orxe_plugins.records.team import Team, own_team
from orxe_plugins.run.run import Run

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Crew:
    """A team before it knows the run.

    Attributes:
        team: this process's part of it.
        working_on: the team for a run.
    """

    team: Team
    working_on: Callable[[Run], Team]


@contextlib.contextmanager
def crew_for(engine: str) -> Iterator[Crew]:
    """The processes that an engine records with.

    Args:
        engine: "local" for this process, or the ranks that it is one of; "ray" for a Ray cluster: the one that
            ``RAY_ADDRESS`` names, or the one on this machine, which is started if there is none.

    Raises:
        OrxeError: there is no such engine, or Ray is not installed.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine == "ray":
        from orxe_plugins.run.ray_team import ray_cluster

        with ray_cluster() as working_on:
            yield Crew(Team(), working_on)
        return
    with own_team() as team:
        yield Crew(team, lambda run: team)
