from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orxe_plugins import ClassifierExpert, ImageView
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.records import load_records
from orxe_plugins.records.making import ShardJob, make_here
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.records.recorder import write_records
from orxe_plugins.records.team import Team
from orxe_plugins.tasks import Classification


class Half(Team):
    """One of two processes, which come one after the other here."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.leads = rank == 0

    def share(self, shards: Sequence[int]) -> list[int]:
        return [shard for shard in shards if shard % 2 == self.rank]


class Backwards(Team):
    """Gives the last shard first, as workers elsewhere may."""

    def make(self, job: ShardJob, advance: Callable[[int], None]) -> Iterator[tuple[int, Mapping[str, pa.Array]]]:
        yield from reversed(list(make_here(job, advance)))


def shards(folder: Path) -> dict[str, pa.Table]:
    """Every shard's content with its mark, by its place."""
    return {str(path.relative_to(folder)): pq.read_table(path) for path in sorted(folder.rglob("shard-*.parquet"))}


def same(first: Path, second: Path) -> bool:
    one, other = shards(first), shards(second)
    contents = all(one[key].equals(other[key], check_metadata=True) for key in one)
    files = ("dataset.json", *(str(path.relative_to(first)) for path in first.rglob("expert.json")))
    return one.keys() == other.keys() and contents and all(
        (first / file).read_text() == (second / file).read_text() for file in files
    )  # fmt: skip


@pytest.mark.parametrize("teams", [[Half(0), Half(1)], [Backwards()]], ids=["two halves", "backwards"])
def test_what_several_record_equals_what_one_does(
    images: Path, recording: ModuleType, tmp_path: Path, teams: list[Team]
) -> None:
    dataset = ImageFolder(images)
    options = RecordOptions(shard_size=7, batch_size=4)
    for folder, members in ((tmp_path / "one", [Team()]), (tmp_path / "team", teams)):
        for team in members:
            experts = [make_expert(name) for name in ("a", "b")]
            write_records(experts, dataset, folder, task=Classification(), options=options, team=team)
    assert len(shards(tmp_path / "one")) == 14
    assert same(tmp_path / "one", tmp_path / "team")
    assert load_records(tmp_path / "team").n_experts == 2


def make_expert(name: str) -> ClassifierExpert:
    import torch
    from torch import nn

    torch.manual_seed(len(name) + ord(name))
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))
    return ClassifierExpert(name, module, view=ImageView((8, 8), 8), num_classes=3)
