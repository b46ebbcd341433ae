"""A table of times that was measured at smaller batches than are asked for says so."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.errors import OrxeWarning
from orxe_plugins.run.latency import latency_table


def test_batches_beyond_those_measured_are_warned_of(tmp_path: Path) -> None:
    table = LatencyTable((1, 8), {"small": (1.0, 3.0)}, {})
    table.save(tmp_path / "times.json")

    def asked(batch_size: int) -> Any:
        cost = SimpleNamespace(in_time=True, table=tmp_path / "times.json", batch_size=batch_size)
        return latency_table(SimpleNamespace(recipe=SimpleNamespace(cost=cost)), None)  # type: ignore[arg-type]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asked(8).ms == table.ms
    with pytest.warns(OrxeWarning, match=r"batch_size is 9, but .*times.json was measured at 8 at most"):
        assert asked(9).ms == table.ms
