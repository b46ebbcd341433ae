"""Exits inside of timm models as experts: ``timm:NAME?exit=2`` with a file of trained exits, ``timm:NAME?exit=end``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn import EndExpert, ExitExpert, ExitNetwork, NetworkShape, TrainedExits, load_exits
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import ExpertSpec
from orxe_plugins.experts.registry import load_expert as load_any
from orxe_timm import experts
from orxe_timm.stages import StagedModel

_END = "end"


def load_expert(
    name: str,
    *,
    exit: int | str | None = None,
    esn: str | None = None,
    saver: str | Mapping[str, Any] | None = None,
    **options: Any,
) -> ClassifierExpert:
    """A timm model as an expert, whole or as a backbone with exits.

    Args:
        name: a name that ``timm.create_model`` takes: ``resnet18.a1_in1k``, ``hf-hub:timm/resnet18.a1_in1k``.
        exit: number of the stage that this exit stands behind, as timm's ``out_indices`` count them, or
            "end" for the model's own end behind its exits; None is the model alone.
        esn: file of trained exits.
        saver: address or spec of the expert whose answer the exits build on, by the name that it has
            in the cascade; None for plain attached exits.
        **options: any of
            ``checkpoint``: a file of weights (safetensors or ``torch.save``), or ``package:NAME`` for the weights in an
            installed package;
            ``pretrained``: take timm's own weights where there is no checkpoint; by default;
            ``input_size``, ``mean``, ``std``, ``interpolation``, ``crop_pct``, ``crop_mode``: change what the model's
            timm configuration says of images;
            ``builder``, ``variant``: a function ``timm.some.module:function`` in place of ``timm.create_model``, and
            its first argument;
            and what is handed to ``timm.create_model``: num_classes, in_chans, pad_type, ...

    Raises:
        OrxeError: options contradict each other, there is no such exit, the model cannot be run in stages,
            or the exits were trained for other weights.
    """
    _check_options(name, exit, esn, saver)
    if exit is None:
        return experts.load_expert(name, **options)
    base = experts.load_expert(name, **options)
    trained = None if exit == _END else load_exits(esn or "")
    if trained is not None:
        trained.check_base(base.module)
    return _on_backbone(name, exit, base, options, trained, saver)


def load_untrained(
    name: str,
    *,
    exit: int | str | None = None,
    esn: str | None = None,
    saver: str | Mapping[str, Any] | None = None,
    **options: Any,
) -> ClassifierExpert:
    """The same without weights. Exits that are not trained yet get the sizes that they have by default."""
    _check_options(name, exit, esn, saver)
    if exit is None:
        return experts.load_untrained(name, **options)
    # Stages are found by running the model: the meta device will not do.
    base = experts.load_expert(name, **{**options, "pretrained": False, "checkpoint": None})
    if exit == _END:
        return _on_backbone(name, exit, base, options, None, saver)
    if esn is not None and Path(esn).exists():
        shape = load_exits(esn).network.shape
    else:
        width = StagedModel(base.module, base.example(), name).widths[_stage(name, exit)]
        shape = NetworkShape((_stage(name, exit),), (width,), base.num_classes, None if saver is None else width)
    return _on_backbone(name, exit, base, options, TrainedExits(ExitNetwork(shape).eval(), "", None), saver)


def view_of(
    name: str,
    *,
    exit: int | str | None = None,
    esn: str | None = None,
    saver: str | Mapping[str, Any] | None = None,
    **options: Any,
) -> ImageView:
    """What :func:`load_expert` with the same arguments would see of an image; no weights are read."""
    _check_options(name, exit, esn, saver)
    return experts.view_of(name, **options)


def _on_backbone(
    name: str,
    exit: int | str,
    base: ClassifierExpert,
    options: Mapping[str, Any],
    trained: TrainedExits | None,
    saver: str | Mapping[str, Any] | None,
) -> ClassifierExpert:
    backbone = StagedModel(base.module, base.example(), f"timm:{name}")
    common: dict[str, Any] = {"key": _key(name, options), "view": base.view, "num_classes": base.num_classes}
    if trained is None:
        end = EndExpert(f"timm:{name}", backbone, **common)
        end.feature_layer = base.feature_layer
        return end
    return ExitExpert(
        f"timm:{name}?exit={exit}",
        backbone,
        trained.network,
        stage=_stage(name, exit),
        saver=None if saver is None else _saver(saver),
        check_saver=trained.check_saver if trained.saver else None,
        **common,
    )


def _saver(saver: str | Mapping[str, Any]) -> tuple[str, Callable[[], Expert]]:
    """The saver's name, and how to build it."""
    try:
        spec = ExpertSpec(saver) if isinstance(saver, str) else ExpertSpec.from_dict(saver)
    except OrxeError as error:
        raise OrxeError(f"saver is {saver!r}: expected an address, or the fields of an expert: {error}") from error
    return spec.name or spec.address, lambda: load_any(spec, "timm")


def _stage(name: str, exit: int | str) -> int:
    if isinstance(exit, bool) or not isinstance(exit, int):
        raise OrxeError(f"exit is {exit!r} of expert 'timm:{name}': expected the number of a stage, or {_END!r}")
    return exit


def _check_options(name: str, exit: int | str | None, esn: str | None, saver: Any) -> None:
    behind_stage = exit not in (None, _END)
    if behind_stage:
        _stage(name, exit)  # type: ignore[arg-type]
        if esn is None:
            raise OrxeError(f"exit {exit!r} of expert 'timm:{name}' has no weights: add esn=FILE.safetensors")
    elif esn is not None or saver is not None:
        raise OrxeError(f"esn and saver belong to an exit of expert 'timm:{name}': add exit=STAGE, or leave them out")


def _key(name: str, options: Mapping[str, Any]) -> tuple[str, str]:
    """What two experts have in common that have the same backbone."""
    given = dict(options)
    if given.get("checkpoint") and Path(given["checkpoint"]).exists():
        given["checkpoint"] = Path(given["checkpoint"]).resolve()
    return name, json.dumps(given, sort_keys=True, default=str)
