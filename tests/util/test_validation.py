"""Messages of validation name the key, the value and what was expected, in one line."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orxe_plugins.util.validation import explain


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(gt=0)
    names: list[str] = []


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parts: list[Part] = []
    text: dict[str, str] = {}

    @model_validator(mode="after")
    def _few(self) -> Whole:
        if len(self.parts) > 2:
            raise ValueError("expected at most 2 parts")
        return self


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"prts": []}, "unknown key 'prts': did you mean 'parts'?"),
        ({"q": []}, "unknown key 'q': known are parts, text"),
        ({"parts": [{}]}, "key 'parts[0].size' is missing"),
        ({"parts": [{"size": 0}]}, "parts[0].size is 0: Input should be greater than 0"),
        ({"parts": [{"size": "x", "y": 1}]}, "parts[0].size is 'x': expected a whole number; unknown key 'y' in"
         " parts[0]: known are names, size"),
        ({"parts": ["small"]}, "parts[0] is 'small': expected keys with values"),
        ([], "the content is []: expected keys with values"),
        ({"parts": [{"size": 1}] * 3}, "expected at most 2 parts"),
        ({"parts": [{"size": 1, "names": {"a": 1}}]}, "parts[0].names is a dict: expected a list"),
        ({"parts": [{"size": 1, "names": "n" * 200}]}, "parts[0].names is a str: expected a list"),
        ({"parts": {"a": [{"b": 1}]}}, "parts is a dict: expected a list"),
    ],
)  # fmt: skip
def test_a_problem_is_named_with_its_key_and_value(data: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(data)
    assert explain(caught.value, model=Whole) == message


def test_the_place_in_the_file_goes_before_the_key() -> None:
    with pytest.raises(ValidationError) as caught:
        Part.model_validate({"size": 1, "sise": 2})
    assert explain(caught.value, "experts[3]") == "unknown key 'sise' in experts[3]"
    assert explain(caught.value, "experts[3]", Part) == "unknown key 'sise' in experts[3]: did you mean 'size'?"
