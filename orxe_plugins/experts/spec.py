"""ExpertSpec: how an expert is built. Recipes, experts files and ``cascade.json`` share its fields."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.validation import NO_KEY, Name, Text, explain
from orxe_plugins.util.yaml_files import parse_yaml

_ADDRESS = re.compile(r"(?P<adapter>[A-Za-z_][\w-]*):(?P<name>[^?]+)(\?(?P<query>.*))?", re.DOTALL)
_Cost = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ExpertSpec:
    """How to build an expert again: what recipes list and what ``cascade.json`` keeps.

    Values are checked when a spec is made: a wrong one raises pydantic's ``ValidationError``, which is a
    ``ValueError``. :meth:`from_dict` raises an OrxeError instead.

    Attributes:
        address: ``adapter:name?option=value&option=value``; option values are read as YAML.
        name: how tables call the expert; the address's name by default.
        checkpoint: a file of weights, or ``package:NAME`` for weights in an installed package, handed
            to the adapter; by default what the adapter takes.
        options: more options for the adapter's ``load_expert``, beside those in the address.
        confidence: kind and options of the confidence provider; by default the recipe's, or else the task's.
        calibration: kind and fitted numbers of a detector's score calibration
            (``fit_calibrations`` of ``orxe_plugins.detection``); without it, scores stay as they are.
        cost: cost per sample where it is known, at least 0; counted by default.
        shared_cost: what a sample pays beside that where this expert answers it: the backbone up to an exit. An adapter
            may set it itself.
        needs: name of the expert whose answer this one builds on. An adapter may set it itself.
        fingerprint: of the weights, as ``cascade.json`` keeps it; weights that differ are an error.
        origin: the file of others that the spec came from; None for what the caller named, which is trusted. It is
            no key of files.

    >>> ExpertSpec("timm:resnet18", name="small").to_dict()
    {'address': 'timm:resnet18', 'name': 'small'}
    """

    address: Name
    name: Name | None = None
    checkpoint: Text | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    confidence: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    cost: _Cost | None = None
    shared_cost: _Cost = 0.0
    needs: Name | None = None
    fingerprint: Text | None = None
    origin: Any = field(default=None, compare=False, repr=False, metadata=NO_KEY)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExpertSpec:
        """The spec out of plain values, the inverse of :meth:`to_dict`.

        Raises:
            OrxeError: a key is unknown or missing, or a value does not fit.
        """
        try:
            if "origin" in data:
                raise TypeError("unknown key 'origin'")
            return cls(**data)
        except (ValidationError, TypeError) as error:
            problem = explain(error, model=cls) if isinstance(error, ValidationError) else str(error)
            known = ", ".join(one.name for one in fields(cls) if one.metadata != NO_KEY)
            raise OrxeError(f"expert {dict(data)}: {problem}; its fields are {known}") from error

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without what is at its default."""
        values = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default and value != {} and one.metadata != NO_KEY:
                values[one.name] = dict(value) if isinstance(value, Mapping) else value
        return values

    def spec(self) -> ExpertSpec:
        """The spec itself: what the entries of a recipe are since 0.2. Deprecated."""
        warnings.warn("entries of recipe.experts are ExpertSpecs: leave out .spec()", DeprecationWarning, stacklevel=2)
        return self


def parse_address(address: str) -> tuple[str, str, dict[str, Any]]:
    """Adapter, name and options of an expert's address.

    Raises:
        OrxeError: it is no address, or an option has no value.

    >>> parse_address("ultralytics:yolov8n.pt?imgsz=320")
    ('ultralytics', 'yolov8n.pt', {'imgsz': 320})
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        simple = re.fullmatch(r"[\w.-]+", address)
        raise OrxeError(
            f"expert address {address!r}: expected adapter:name, such as timm:{address if simple else 'resnet18'}"
        )
    options = {}
    for pair in filter(None, (match["query"] or "").split("&")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise OrxeError(
                f"expert address {address!r}: option {pair!r} has no value, expected {pair}=... "
                "A ? begins the options: if it belongs to a file's name, name the file by the key `checkpoint`"
            )
        options[key] = parse_yaml(value, f"option {key!r} of expert address {address!r}")
    return match["adapter"], match["name"], options


def adapter_in(address: str) -> str | None:
    """What stands before the first colon of an address; None if there is no colon."""
    adapter, colon, _ = address.partition(":")
    return adapter if colon else None
