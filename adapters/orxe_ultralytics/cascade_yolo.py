"""CascadeYOLO: a cascade of detectors that is used like ``ultralytics.YOLO``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from ultralytics import YOLO, __version__
from ultralytics.engine.model import Model
from ultralytics.utils import LOGGER

from orxe_plugins.cascade.build import CascadeLike, ExpertLike, build_cascade, label_arguments
from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.data.reading import eight_bit
from orxe_plugins.errors import OrxeError, check_known
from orxe_plugins.experts.checkpoints import write_checkpoint
from orxe_ultralytics.cascade_model import CascadeModel
from orxe_ultralytics.predict import CascadePredictor
from orxe_ultralytics.saved import pack_cascade, unpack_cascade
from orxe_ultralytics.val import CascadeValidator

#: names by which the `yolo` command takes a file for another family of models
_TAKEN_STEMS = ("rtdetr", "fastsam", "sam_", "sam2_", "sam2.1_", "sam3", "mobile_sam", "yolo_nas")

_NO_EMBEDDINGS = (
    "a cascade has no embeddings, because its experts' features differ from each other: embed by one of them, as in "
    'YOLO("yolo11x.pt").embed(...)'
)


class CascadeYOLO(CascadeControls, Model):
    """A cascade of detectors with the methods of ``ultralytics.YOLO``.

    Args:
        model: a folder that `orxe run` wrote, a ``.pt`` file that :meth:`save` wrote, or a
            :class:`orxe_plugins.Cascade` of detectors.
        experts: instead of ``model``: addresses, specs or experts, cheapest first. An address
            without an adapter, such as ``yolov8n.pt?imgsz=320``, is one of Ultralytics.
        classes: label names of the answers, by default those of the first expert without a remap; or a word: "data"
            drops labels that are not among ``names``, "intersect" those that not every expert knows.
        remap: what labels of some expert are called among ``classes``; None drops a label. Other
            labels are matched by name.
        verbose: as in Ultralytics.
        **thresholds: any of ``exit_thresholds``, one for each expert but the last, in which None is "never";
            ``skip_thresholds``, likewise, none by default; ``names``, label names where ``classes`` is a word;
            ``preference``, where a fitted cascade starts:
            0 = only cost counts, 1 = only performance counts;
            ``trust``, with a folder: whether what building its experts runs and fetches is trusted.

    Raises:
        OrxeError: neither or both of ``model`` and ``experts`` are given, the folder holds no cascade
            of detectors, an argument is unknown, or labels do not fit.
    """

    def __init__(
        self,
        model: CascadeLike | None = None,
        *,
        experts: Sequence[ExpertLike] | None = None,
        classes: Sequence[str] | str | None = None,
        remap: Mapping[str, str | None] | None = None,
        verbose: bool = False,
        **thresholds: Any,
    ) -> None:
        known = ("exit_thresholds", "skip_thresholds", "preference", "names", "trust", "trust_changed")
        check_known("argument of CascadeYOLO", thresholds, known)
        wanted = {**thresholds, **label_arguments(classes, thresholds.get("names")), "remap": remap}
        if isinstance(model, (str, Path)) and Path(model).suffix == ".pt" and experts is None:
            super().__init__(str(model), task="detect", verbose=verbose)
            if any(value is not None for value in wanted.values()):
                self.model = CascadeModel(_build(self.cascade, None, wanted))
            return
        # Ultralytics' constructor calls _load with a string alone; nn.Module takes no attributes yet.
        object.__setattr__(self, "_built", CascadeModel(_build(model, experts, wanted)))
        super().__init__("cascade.pt", task="detect", verbose=verbose)

    def _load(self, weights: str, task: str | None = None) -> None:
        built = self.__dict__.pop("_built", None)
        if built is None:
            super()._load(weights, task)
            if not isinstance(self.model, CascadeModel):
                raise OrxeError(f"{weights!r} holds a {type(self.model).__name__}, not a cascade: load it by YOLO(...)")
            return
        self.model = built
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
        """As in Ultralytics; each result also has ``orxe_expert`` and ``orxe_route``, which say what expert answered.

        Each expert keeps its own imgsz. As in Ultralytics, images are padded to the smallest
        rectangle unless ``rect=False``.
        """
        # Before Ultralytics makes a predictor, which would keep what it is asked for in a call that fails.
        _check_possible(kwargs)
        self._warn_of_ignored(kwargs)
        return super().predict(_narrowed(source), stream, predictor, **kwargs)

    def val(self, validator: Any = None, **kwargs: Any) -> Any:
        """As in Ultralytics; the metrics also have ``orxe_route``.

        Each expert keeps its own imgsz, and pads to squares unless its address says ``rect=true``.
        """
        _check_possible(kwargs)
        self._warn_of_ignored(kwargs)
        # The loader's rectangle for a batch has no effect on experts, which prepare each image themselves.
        return super().val(validator, **{**kwargs, "rect": False})

    def save(self, filename: str | Path = "cascade.pt") -> None:
        """Write the experts with their weights, the thresholds and the policy table into one ``.pt`` file.

        ``yolo val model=FILE`` and ``yolo predict model=FILE`` run it wherever orxe_plugins is installed; so does
        ``YOLO(FILE)``. The file holds plain values and tensors, see :func:`orxe_ultralytics.saved.pack_cascade`, and
        the name of one function, :func:`orxe_ultralytics.restore_cascade`. Weights keep their precision. What stays
        outside of it: exported models, and the code of an mmdetection project that an expert's config imports.

        Raises:
            OrxeError: the name is not one that the yolo command takes for a cascade, or an expert cannot be saved:
                it was made by hand, or changed after it was loaded.
        """
        path = Path(filename)
        taken = next((stem for stem in _TAKEN_STEMS if stem in path.stem.lower()), None)
        if path.suffix != ".pt" or taken is not None:
            why = (
                f"the yolo command takes a file with {taken!r} in its name for another model" if taken else "a .pt file"
            )
            raise OrxeError(f"a cascade cannot be saved as {str(filename)!r}: expected {why}")
        content = {
            "model": _Saved(pack_cascade(self.model)),
            "train_args": dict(self.model.args),
            "date": datetime.now().astimezone().isoformat(),
            "version": __version__,
        }
        write_checkpoint(content, path)

    def train(self, trainer: Any = None, **kwargs: Any) -> NoReturn:
        """Not offered: a cascade is not trained."""
        raise OrxeError("a cascade is not trained: train its experts by YOLO(...).train, then build the cascade")

    def tune(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: a cascade is not trained."""
        raise OrxeError("a cascade is not tuned: `orxe run RECIPE` searches its thresholds")

    def export(self, **kwargs: Any) -> NoReturn:
        """Not offered: an exported graph has one path."""
        raise OrxeError(
            "a cascade cannot be exported, because its path depends on the image: export its experts, and give the "
            "exported files as experts, as ultralytics:yolov8n_openvino_model?imgsz=320&cost=1.09"
        )

    def benchmark(
        self, data: str | None = None, format: str = "-", verbose: bool | float = False, **kwargs: Any
    ) -> Any:
        """As in Ultralytics, but of the one format that a cascade has: PyTorch's, which Ultralytics calls "-".

        Raises:
            OrxeError: another format is asked for.
        """
        if format not in ("", "-"):
            raise OrxeError(
                f"format is {format!r}, and a cascade cannot be exported: leave it out, or benchmark experts"
            )
        return super().benchmark(data=data, format="-", verbose=verbose, **kwargs)

    def embed(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: embeddings of different models do not compare."""
        raise OrxeError(_NO_EMBEDDINGS)

    def load(self, weights: Any = None) -> NoReturn:
        """Not offered: weights belong to experts."""
        raise OrxeError("weights cannot be loaded into a cascade: build it out of experts that have them")

    def reset_weights(self) -> NoReturn:
        """Not offered: weights belong to experts."""
        raise OrxeError("the weights of a cascade are those of its experts: reset them before the cascade is built")

    def _warn_of_ignored(self, kwargs: Mapping[str, Any]) -> None:
        """Name what the experts decide for themselves, so that asking for it has no effect."""
        imgsz = kwargs.get("imgsz", self.model.args["imgsz"])
        if imgsz != self.model.args["imgsz"]:
            LOGGER.warning(
                f"imgsz={imgsz} changes nothing in a cascade: each expert has its own, "
                "as in ultralytics:yolov8n.pt?imgsz=320"
            )
        for name in ("nms", "end2end", "dnn"):
            if kwargs.get(name) is not None:
                LOGGER.warning(
                    f"{name}={kwargs[name]} changes nothing in a cascade: each expert answers by its own head"
                )


def _check_possible(asked: Mapping[str, Any]) -> None:
    """Raise for options of predict and val that a cascade cannot follow."""
    if asked.get("compile"):
        raise OrxeError("compile does not work on a cascade, whose path depends on the image: leave it out")
    if asked.get("embed"):
        raise OrxeError(_NO_EMBEDDINGS)


def _build(model: CascadeLike | None, experts: Sequence[ExpertLike] | None, wanted: Mapping[str, Any]) -> Cascade:
    return build_cascade(experts, model, adapter="ultralytics", task="detection", **wanted)


class _Saved:
    """Stands for a cascade while it is pickled: reading it back calls :func:`restore_cascade`."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_cascade, (self.content,)


def restore_cascade(content: Mapping[str, Any]) -> CascadeModel:
    """The model of a saved cascade. Every file that :meth:`CascadeYOLO.save` wrote calls this function by its name.

    ``orxe_ultralytics.restore_cascade`` is the only name of this project in such a file: it stays, whatever moves.

    Args:
        content: what :func:`orxe_ultralytics.saved.pack_cascade` gave, in any format up to the present one.

    Raises:
        OrxeError: a later release wrote the file, or something outside of it that an expert needs is not there.
    """
    watch_for_yolo()
    return unpack_cascade(content)


restore_cascade.__module__ = "orxe_ultralytics"


@cache
def watch_for_yolo() -> None:
    """Turn the YOLO that a restored cascade is put into a CascadeYOLO, from the first restored file on.

    The shell command and ``YOLO(FILE)`` make a YOLO of every file, and Ultralytics offers no other way to say which
    class a file needs: it looks at the file's head, and knows its own heads alone. What is left is the moment at which
    the YOLO gets its model, which torch announces to hooks of the whole process. This one does nothing but for a
    CascadeModel that becomes the ``model`` of a YOLO.
    """
    register_module_module_registration_hook(_become_cascade)


def _become_cascade(module: nn.Module, name: str, submodule: nn.Module | None) -> None:
    """As YOLO does for RT-DETR and YOLO-World."""
    if isinstance(submodule, CascadeModel) and name == "model" and type(module) is YOLO:
        module.__class__ = CascadeYOLO


def _narrowed(source: Any) -> Any:
    """Sources with 8 bits per channel: Ultralytics cuts 32-bit integers and floats of PIL images off at 255."""
    if isinstance(source, list):
        return [_narrowed(each) for each in source]
    return eight_bit(source) if isinstance(source, Image.Image) and source.mode in ("I", "F") else source
