"""ExpertSpec: the one set of fields of an expert, checked when it is made."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orxe_plugins import OrxeError
from orxe_plugins.experts.spec import ExpertSpec, adapter_in

texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1)
specs = st.builds(
    ExpertSpec,
    address=st.just("timm:resnet18"),
    name=st.none() | texts,
    checkpoint=st.none() | st.just("a.safetensors"),
    options=st.dictionaries(texts, st.integers()),
    confidence=st.none() | st.fixed_dictionaries({"kind": texts}),
    calibration=st.none() | st.fixed_dictionaries({"kind": texts}),
    cost=st.none() | st.floats(0, 10),
    shared_cost=st.floats(0, 10),
    needs=st.none() | texts,
)


@given(specs)
def test_a_spec_survives_its_dictionary_copies_and_pickles(spec: ExpertSpec) -> None:
    assert ExpertSpec(**spec.to_dict()) == ExpertSpec.from_dict(spec.to_dict()) == spec
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == replace(spec) == spec


def test_what_is_at_its_default_is_left_out() -> None:
    assert ExpertSpec("timm:a").to_dict() == {"address": "timm:a"}
    assert ExpertSpec("timm:a", cost=0, shared_cost=0, options={}).to_dict() == {"address": "timm:a", "cost": 0.0}


def test_the_callers_options_do_not_change_a_spec() -> None:
    options = {"num_classes": 3}
    spec = ExpertSpec("timm:a", options=options)
    options["num_classes"] = 4
    assert spec.options == {"num_classes": 3}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"adress": "timm:a"},
            r"expert .*: key 'address' is missing; unknown key 'adress': did you mean 'address'\?; its fields are",
        ),
        ({"address": "timm:a", "cost": -1}, "cost is -1: "),
        ({"address": "timm:a", "cost": float("nan")}, "cost is nan: Input should be a finite number"),
        ({"address": "timm:a", "cost": "cheap"}, "cost is 'cheap': "),
        ({"address": 18}, "address is 18: expected a text"),
        ({"address": "timm:a", "options": [1]}, r"options is \[1\]: "),
        ({3: "timm:a"}, "keywords must be strings"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[Any, Any], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        ExpertSpec.from_dict(fields)


def test_a_changed_spec_is_checked_too() -> None:
    with pytest.raises(ValidationError):
        replace(ExpertSpec("timm:a"), cost=-1)
    with pytest.raises(AttributeError):
        ExpertSpec("timm:a").cost = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("address", "adapter"), [("timm:resnet18", "timm"), ("hf-hub:timm/a", "hf-hub"), ("resnet18", None), (":a", "")]
)
def test_the_adapter_of_an_address_stands_before_its_first_colon(address: str, adapter: str | None) -> None:
    assert adapter_in(address) == adapter


def test_entries_of_a_recipe_are_specs_themselves() -> None:
    spec = ExpertSpec("timm:a")
    with pytest.warns(DeprecationWarning, match="leave out .spec"):
        assert spec.spec() is spec
