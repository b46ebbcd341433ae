"""CascadeYOLO: a cascade of detectors that is used like ``ultralytics.YOLO``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from ultralytics import YOLO, __version__
from ultralytics.engine.model import Model
from ultralytics.utils import LOGGER

from orxe_plugins.cascade.build import CascadeLike, ExpertLike, build_cascade
from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.errors import OrxeError
from orxe_ultralytics.module import CascadeModel
from orxe_ultralytics.predict import CascadePredictor
from orxe_ultralytics.val import CascadeValidator

#: names by which the `yolo` command takes a file for another family of models
_TAKEN_STEMS = ("rtdetr", "fastsam", "sam_", "sam2_", "sam2.1_", "sam3", "mobile_sam", "yolo_nas")


class CascadeYOLO(CascadeControls, Model):
    """A cascade of detectors with the methods of ``ultralytics.YOLO``.

    Args:
        model: a folder that `orxe run` wrote, a ``.pt`` file that :meth:`save` wrote, or a
            :class:`orxe_plugins.Cascade` of detectors.
        experts: instead of ``model``: addresses, specs or experts, cheapest first. An address
            without an adapter, such as ``yolov8n.pt?imgsz=320``, is one of Ultralytics.
        exit_thresholds: one for each expert but the last; None in it is "never".
        skip_thresholds: likewise; empty skips nobody.
        preference: where a fitted cascade starts; 0 = only cost counts, 1 = only performance counts.
        classes: label names of the answers; by default those of the first expert without a remap.
        remap: what labels of some expert are called among ``classes``; None drops a label. Other
            labels are matched by name.
        verbose: as in Ultralytics.

    Raises:
        OrxeError: neither or both of ``model`` and ``experts`` are given, the folder holds no cascade
            of detectors, or labels do not fit.
    """

    def __init__(
        self,
        model: CascadeLike | None = None,
        *,
        experts: Sequence[ExpertLike] | None = None,
        exit_thresholds: Sequence[float | None] | None = None,
        skip_thresholds: Sequence[float] | None = None,
        preference: float | None = None,
        classes: Sequence[str] | None = None,
        remap: Mapping[str, str | None] | None = None,
        verbose: bool = False,
    ) -> None:
        wanted = {
            "exit_thresholds": exit_thresholds,
            "skip_thresholds": skip_thresholds,
            "preference": preference,
            "names": classes,
            "remap": remap,
        }
        if isinstance(model, (str, Path)) and Path(model).suffix == ".pt" and experts is None:
            super().__init__(str(model), task="detect", verbose=verbose)
            if any(value is not None for value in wanted.values()):
                self.model = CascadeModel(_build(self.cascade, None, wanted))
            return
        # Ultralytics' constructor calls _load with a string alone; nn.Module takes no attributes yet.
        object.__setattr__(self, "_built", [CascadeModel(_build(model, experts, wanted))])
        super().__init__("cascade.pt", task="detect", verbose=verbose)

    def _load(self, weights: str, task: str | None = None) -> None:
        built = self.__dict__.pop("_built", None)
        if built is None:
            super()._load(weights, task)
            if not isinstance(self.model, CascadeModel):
                raise OrxeError(f"{weights!r} holds a {type(self.model).__name__}, not a cascade: load it by YOLO(...)")
            return
        self.model = built[0]
        self.ckpt: dict[str, Any] = {}
        self.task = "detect"
        self.overrides = {**self.model.args, "model": weights}
        self.model_name = weights

    # --- what YOLO does -----------------------------------------------------------------------------

    @property
    def task_map(self) -> dict[str, dict[str, Any]]:
        """Ultralytics' table of what does what."""
        return {"detect": {"predictor": CascadePredictor, "validator": CascadeValidator}}

    def predict(self, source: Any = None, stream: bool = False, predictor: Any = None, **kwargs: Any) -> Any:
        """As in Ultralytics; each result also has ``orxe_expert`` and ``orxe_route``.

        Each expert keeps its own imgsz. As in Ultralytics, images are padded to the smallest
        rectangle unless ``rect=False``.
        """
        self._warn_of_size(kwargs)
        return super().predict(source, stream, predictor, **kwargs)

    def val(self, validator: Any = None, **kwargs: Any) -> Any:
        """As in Ultralytics; the metrics also have ``orxe_route``.

        Each expert keeps its own imgsz, and pads to squares unless its address says ``rect=true``.
        """
        self._warn_of_size(kwargs)
        # A batch's common rectangle would be the loader's alone: no expert sees it.
        return super().val(validator, **{**kwargs, "rect": False})

    def save(self, filename: str | Path = "cascade.pt") -> None:
        """Write the experts, their thresholds and the policy table into one ``.pt`` file.

        ``yolo val model=FILE`` and ``yolo predict model=FILE`` run it wherever orxe_plugins is installed;
        so does ``YOLO(FILE)``. Weights keep their precision.
        """
        path = Path(filename)
        taken = next((stem for stem in _TAKEN_STEMS if stem in path.stem.lower()), None)
        if path.suffix != ".pt" or taken is not None:
            why = (
                f"the yolo command takes a file with {taken!r} in its name for another model" if taken else "a .pt file"
            )
            raise OrxeError(f"a cascade cannot be saved as {str(filename)!r}: expected {why}")
        content = {
            "model": deepcopy(self.model).cpu(),
            "train_args": dict(self.model.args),
            "date": datetime.now().astimezone().isoformat(),
            "version": __version__,
        }
        torch.save(content, path)

    def train(self, trainer: Any = None, **kwargs: Any) -> NoReturn:
        """Not there: a cascade is not trained."""
        raise OrxeError("a cascade is not trained: train its experts by YOLO(...).train, then build the cascade")

    def tune(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not there: a cascade is not trained."""
        raise OrxeError("a cascade is not tuned: `orxe run RECIPE` searches its thresholds")

    def export(self, **kwargs: Any) -> NoReturn:
        """Not there: an exported graph has one path."""
        raise OrxeError(
            "a cascade cannot be exported, because its path depends on the image: export its experts, and give the "
            "exported files as experts, as ultralytics:yolov8n_openvino_model?imgsz=320&cost=1.09"
        )

    def benchmark(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not there: it compares exported formats."""
        raise OrxeError("benchmark compares exported formats, and a cascade cannot be exported: use val")

    def load(self, weights: Any = None) -> NoReturn:
        """Not there: weights belong to experts."""
        raise OrxeError("weights cannot be loaded into a cascade: build it out of experts that have them")

    def reset_weights(self) -> NoReturn:
        """Not there: weights belong to experts."""
        raise OrxeError("the weights of a cascade are those of its experts: reset them before the cascade is built")

    def _warn_of_size(self, kwargs: Mapping[str, Any]) -> None:
        if "imgsz" in kwargs and kwargs["imgsz"] != self.model.args["imgsz"]:
            LOGGER.warning(
                f"imgsz={kwargs['imgsz']} changes nothing in a cascade: each expert has its own, "
                "as in ultralytics:yolov8n.pt?imgsz=320"
            )


def _build(model: CascadeLike | None, experts: Sequence[ExpertLike] | None, wanted: Mapping[str, Any]) -> Cascade:
    return build_cascade(experts, model, adapter="ultralytics", task="detection", **wanted)


def _become_cascade(module: nn.Module, name: str, submodule: nn.Module | None) -> None:
    """Turn a YOLO that loads a cascade's file into a CascadeYOLO, as YOLO does for RT-DETR and YOLO-World."""
    if isinstance(submodule, CascadeModel) and name == "model" and type(module) is YOLO:
        module.__class__ = CascadeYOLO


# The shell command knows the class YOLO alone. It imports this file when it unpickles a cascade, and only
# then hangs the cascade into the YOLO: the one moment at which the right class is known.
register_module_module_registration_hook(_become_cascade)
