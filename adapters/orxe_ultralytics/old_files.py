"""Cascades that orxe-plugins 0.1.0 saved: the whole module tree, pickled, with the class names of that release.

Those classes have moved, and their attributes may have changed. So nothing of them is called: every object of this
project becomes a :class:`_Part` that holds what the file says of it, and a cascade is built anew out of these parts.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.confidence import confidence_from_dict
from orxe_plugins.detection.calibration import calibration_from_dict
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.label_space import answer_in
from orxe_plugins.experts.registry import ExpertSpec, load_expert
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, Promise
from orxe_plugins.policies.table import PolicyTable
from orxe_ultralytics.exported import ExportedModel
from orxe_ultralytics.suppression import DetectSettings
from orxe_ultralytics.yolo import YoloExpert

_CALIBRATIONS = {"IsotonicCalibration": "isotonic", "PlattCalibration": "platt"}


class _Part:
    """What a file says of one object of this project: its attributes, and the name of its class as ``kind``."""

    kind = ""

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


class _Unpickler(pickle.Unpickler):
    """Reads classes of this project as parts, and all others as they are."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.partition(".")[0]
        if not package.startswith("orxe_"):
            return super().find_class(module, name)
        importlib.import_module(package)  # an adapter may have to prepare its framework
        return type(name, (_Part,), {"kind": name})


def read_old_cascade(path: str | Path) -> Cascade:
    """The cascade of a file of 0.1.0.

    Ultralytics experts are taken from the file; those of other frameworks are loaded from their addresses again.

    Raises:
        OrxeError: the file holds something else, or an expert of another framework is not at its address.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_pickle_module())
        old = content["model"]._modules["cascade"]
        parts = list(old._modules["experts"]._modules.values())
        experts = [_expert(part) for part in parts]
    except (pickle.UnpicklingError, ImportError, AttributeError, KeyError, TypeError) as error:
        raise OrxeError(
            f"{str(path)!r} cannot be read as a cascade of orxe-plugins 0.1.0: {error!r}. Build the cascade anew from "
            "its experts, as CascadeYOLO(experts=[...], exit_thresholds=[...])"
        ) from error
    answer_in(experts, parts[0]._answer_names)
    return Cascade(experts, _policy(old._policy), None if old.table is None else _table(old.table))


def _pickle_module() -> Any:
    load: Callable[..., Any] = lambda file, **options: _Unpickler(file, **options).load()  # noqa: E731
    return SimpleNamespace(__name__=__name__, Unpickler=_Unpickler, load=load)


def _expert(part: Any) -> DetectorExpert:
    spec = ExpertSpec(**vars(part.spec))
    if part.kind == "YoloExpert":
        module: Any = part._modules["module"]
        if isinstance(module, _Part):
            module = ExportedModel(vars(module)["path"], vars(module)["dnn"])
        settings = DetectSettings(**vars(part.settings))
        expert: Any = YoloExpert(part.name, module.eval(), names=part.names, imgsz=part.imgsz, settings=settings)
        expert.spec = spec
        if spec.confidence is not None:
            expert.confidence = confidence_from_dict(dict(spec.confidence))
    else:
        expert = load_expert(spec)
    expert.cost, expert.remap, expert.allow_missing = part.cost, dict(part.remap), part.allow_missing
    if part.calibration is not None:
        expert.calibration = calibration_from_dict(
            {"kind": _CALIBRATIONS[part.calibration.kind], **vars(part.calibration)}
        )
    return expert.eval()


def _policy(part: Any) -> Policy:
    return Policy(part.exit_thresholds, part.skip_thresholds)


def _row(part: Any) -> PolicyRow:
    return PolicyRow(**{**vars(part), "policy": _policy(part.policy)})


def _table(part: Any) -> PolicyTable:
    rows = {name: tuple(map(_row, getattr(part, name))) for name in ("rows", "pareto", "compact")}
    promises = tuple(Promise(**{**vars(one), "rows": tuple(map(_row, one.rows))}) for one in part.promises)
    return PolicyTable(**{**vars(part), **rows, "promises": promises})
