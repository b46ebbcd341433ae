from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from orxe_plugins import (
    Cascade,
    ClassifierExpert,
    DetectorExpert,
    Expert,
    ExpertSpec,
    ImageView,
    OrxeError,
    Policy,
    PolicyRow,
    PolicyTable,
    load_cascade,
    load_expert,
    save_cascade,
)
from orxe_plugins.cascade import read_cascade
from orxe_plugins.confidence import ConfidenceProvider, Margin
from orxe_plugins.experts import adapters

VIEW = ImageView((8, 8), 8, (0.5,) * 3, (0.5,) * 3)


class Named(ClassifierExpert):
    """A classifier as an adapter would build it; its weights follow from its name."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(len(name))
        module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
        super().__init__(name, module, view=VIEW, num_classes=3, cost=float(len(name)))
        self.spec = ExpertSpec(f"made:{name}")


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter ``made`` whose experts are :class:`Named`."""

    class Made:
        @staticmethod
        def load_expert(name: str) -> Expert:
            return Named(name)

    monkeypatch.setitem(adapters._REGISTERED, "made", "made_adapter")
    monkeypatch.setitem(sys.modules, "made_adapter", cast(Any, Made))


def table() -> PolicyTable:
    rows = [PolicyRow(p, Policy((t,)), c, s) for p, t, c, s in [(0.0, 0.0, 5.0, 0.5), (1.0, None, 11.0, 0.9)]]
    return PolicyTable(tuple(rows), reference_cost=11.0, reference_score=0.9, n_samples=7)


@pytest.mark.usefixtures("adapter")
def test_a_saved_cascade_answers_as_it_did(tmp_path: Path) -> None:
    experts = [load_expert(ExpertSpec("made:small", name="one")), load_expert("made:large-one")]
    experts[0].confidence = Margin()
    cascade = Cascade(experts, table=table(), preference=0.0)
    assert save_cascade(cascade, tmp_path / "saved") == tmp_path / "saved" / "cascade.json"
    loaded = load_cascade(tmp_path / "saved")
    assert [expert.name for expert in loaded.members] == ["one", "made:large-one"]
    assert isinstance(loaded.members[0].confidence, Margin)
    assert [expert.measure_cost() for expert in loaded.members] == [5.0, 9.0]
    assert loaded.table == cascade.table and loaded.input_view == cascade.input_view
    batch = torch.randn(16, 3, 8, 8)
    for policy in (Policy((0.3,)), Policy((None,))):
        cascade.policy = loaded.policy = policy
        (outputs, route), (again, other) = cascade.route(batch), loaded.route(batch)
        assert torch.equal(outputs, again) and torch.equal(route.expert, other.expert)
        assert torch.equal(route.confidence, other.confidence) and torch.equal(route.cost, other.cost)


@pytest.mark.usefixtures("adapter")
def test_thresholds_given_by_hand_are_the_only_policy(tmp_path: Path) -> None:
    cascade = Cascade([Named("small"), Named("large-one")], Policy((0.4,)))
    save_cascade(cascade, tmp_path)
    assert [load_cascade(tmp_path, preference).policy for preference in (0.0, 1.0)] == [Policy((0.4,))] * 2
    assert read_cascade(tmp_path).task == "classification"


@pytest.mark.usefixtures("adapter")
def test_weights_that_are_not_those_that_were_saved_are_refused(tmp_path: Path) -> None:
    cascade = Cascade([load_expert("made:small"), load_expert("made:large-one")], Policy((0.4,)))
    save_cascade(cascade, tmp_path)
    assert all(spec.fingerprint for spec in read_cascade(tmp_path).specs)
    load_cascade(tmp_path)
    cascade.members[1].confidence = Margin()  # no weight of the model
    save_cascade(cascade, tmp_path)
    load_cascade(tmp_path)
    with torch.no_grad():
        cascade.members[1].module[1].weight[0, 0] += 1e-3  # the address gives the former ones
    save_cascade(cascade, tmp_path)
    with pytest.raises(OrxeError, match="'made:large-one' has other weights than when it was recorded or saved"):
        load_cascade(tmp_path)
    load_cascade(tmp_path, trust_changed=True)


@pytest.mark.usefixtures("adapter")
def test_a_cascade_in_half_precision_can_be_saved_and_loaded(tmp_path: Path) -> None:
    cascade = Cascade([Named("small"), Named("large-one")], Policy((0.4,)))
    save_cascade(cascade.half(), tmp_path)
    assert [spec.fingerprint for spec in read_cascade(tmp_path).specs] == [None, None]
    save_cascade(Cascade([load_expert("made:small")], Policy(())), tmp_path)
    again = load_cascade(tmp_path)
    known = read_cascade(tmp_path).specs[0].fingerprint
    save_cascade(again.half(), tmp_path)
    assert known and read_cascade(tmp_path).specs[0].fingerprint == known
    load_cascade(tmp_path)


@pytest.mark.usefixtures("adapter")
def test_what_a_file_says_can_be_written_again(tmp_path: Path) -> None:
    save_cascade(Cascade([Named("small"), Named("large-one")], table=table()), tmp_path / "one")
    file = read_cascade(tmp_path / "one")
    save_cascade(file, tmp_path / "two")
    one, two = (json.loads((tmp_path / name / "cascade.json").read_text()) for name in ("one", "two"))
    assert one == two and read_cascade(tmp_path / "two") == file


def test_an_expert_that_no_file_can_build_is_named(tmp_path: Path) -> None:
    cascade = Cascade.from_modules([nn.Linear(4, 3), nn.Linear(4, 3)], [0.5], names=["tiny", "big"], costs=[1, 2])
    with pytest.raises(OrxeError, match="expert 'tiny' was made from a Linear by hand.*load_expert"):
        save_cascade(cascade, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_confidence_without_a_name_is_named(tmp_path: Path) -> None:
    class Mine(ConfidenceProvider):
        def forward(self, outputs: torch.Tensor, features: torch.Tensor | None = None) -> torch.Tensor:
            return outputs.amax(dim=1)

    expert = Named("small")
    expert.confidence = Mine()
    with pytest.raises(OrxeError, match="expert 'small' is a Mine without a name.*register_confidence"):
        save_cascade(Cascade([expert], Policy(())), tmp_path)


def test_the_task_must_be_said_where_experts_do_not_say_it(tmp_path: Path) -> None:
    expert = Expert("angle", nn.Linear(4, 1), cost=1.0)
    expert.spec = ExpertSpec("made:angle")
    cascade = Cascade([expert], Policy(()))
    with pytest.raises(OrxeError, match="angle: Expert.*task='NAME'"):
        save_cascade(cascade, tmp_path)
    save_cascade(cascade, tmp_path, task="regression")
    assert read_cascade(tmp_path).task == "regression"


class Finder(DetectorExpert):
    """A detector that finds nothing."""

    def __init__(self, name: str, names: tuple[str, ...]) -> None:
        super().__init__(name, nn.Identity(), names=names, cost=1.0)
        self.spec = ExpertSpec(f"made:{name}")


def test_renamed_labels_are_refused_for_the_file_cannot_hold_them(tmp_path: Path) -> None:
    cascade = Cascade([Finder("one", ("cat", "dog")), Finder("two", ("Dog", "cat"))], Policy((0.5,)))
    save_cascade(cascade, tmp_path)
    assert read_cascade(tmp_path).task == "detection"
    for names, remap in ((("dog", "cat"), None), (("cat",), {"dog": None})):
        cascade.answer_in(names, remap)
        save_cascade(cascade, tmp_path)
        assert read_cascade(tmp_path).labels == names
    both = Cascade([Finder("one", ("auto",)), Finder("two", ("car",))], Policy((0.5,)), remap={"auto": "car"})
    with pytest.raises(OrxeError, match="renamed by remap=.*give it as the option `remap` of each expert"):
        save_cascade(both, tmp_path)
    one = Finder("one", ("feline",))
    one.remap = {"feline": "cat"}
    with pytest.raises(OrxeError, match="labels of this cascade of expert 'one' were renamed"):
        save_cascade(Cascade([one, Finder("two", ("cat",))], Policy((0.5,))), tmp_path)
