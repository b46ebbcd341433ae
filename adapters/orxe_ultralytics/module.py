"""Cascades that orxe-plugins 0.1.0 saved, for one release.

Such a file is a pickle of the whole module tree, with the names of 0.1.0: that of its root is ``CascadeModel`` of this
module. All that the file says of the cascade is put into new objects, since classes may have other attributes now.
"""

from __future__ import annotations

from typing import Any

from ultralytics.utils import LOGGER

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.confidence import confidence_from_dict
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.registry import ExpertSpec, load_untrained
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, Promise
from orxe_plugins.policies.table import PolicyTable
from orxe_ultralytics import cascade_model
from orxe_ultralytics.cascade_yolo import watch_for_yolo
from orxe_ultralytics.exported import ExportedModel
from orxe_ultralytics.suppression import DetectSettings
from orxe_ultralytics.yolo import YoloExpert


class CascadeModel(cascade_model.CascadeModel):
    """What a file of 0.1.0 names as its model; once it is read, it is an ordinary cascade model."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        LOGGER.warning(
            "this cascade was saved by orxe-plugins 0.1.0, whose files can be read until 0.3: write it anew by "
            'CascadeYOLO("OLD.pt").save("NEW.pt")'
        )
        watch_for_yolo()
        model = cascade_model.CascadeModel(_cascade(state["_modules"]["cascade"]))
        vars(self).update(vars(model))
        self.__class__ = cascade_model.CascadeModel  # type: ignore[assignment]


def _cascade(old: Any) -> Cascade:
    parts = list(old._modules["experts"]._modules.values())
    experts = [_expert(part) for part in parts]
    table = None if old.table is None else _table(old.table)
    return Cascade(experts, _policy(old._policy), table, names=parts[0]._answer_names)


def _expert(old: Any) -> DetectorExpert:
    """A new expert around the model in the file."""
    spec, module = ExpertSpec(**vars(old.spec)), old._modules["module"]
    if isinstance(old, YoloExpert):
        if isinstance(module, ExportedModel):
            module = ExportedModel(module.path, module.dnn)
        settings = DetectSettings(**vars(old.settings))
        expert: Any = YoloExpert(old.name, module.eval(), names=old.names, imgsz=old.imgsz, settings=settings)
        if spec.confidence is not None:
            expert.confidence = confidence_from_dict(dict(spec.confidence))
    else:
        expert = load_untrained(spec)
        expert.module = module
    expert.spec, expert.name, expert.cost = spec, old.name, old.cost
    expert.remap, expert.allow_missing = dict(old.remap), old.allow_missing
    expert.calibration = old.calibration
    return expert.eval()


def _policy(old: Any) -> Policy:
    return Policy(old.exit_thresholds, old.skip_thresholds)


def _row(old: Any) -> PolicyRow:
    return PolicyRow(**{**vars(old), "policy": _policy(old.policy)})


def _table(old: Any) -> PolicyTable:
    rows = {name: tuple(map(_row, getattr(old, name))) for name in ("rows", "pareto", "compact")}
    promises = tuple(Promise(**{**vars(one), "rows": tuple(map(_row, one.rows))}) for one in old.promises)
    return PolicyTable(**{**vars(old), **rows, "promises": promises})
