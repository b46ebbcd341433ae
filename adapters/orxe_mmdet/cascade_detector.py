"""CascadeDetector: a cascade of detectors as a model of MMDetection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from orxe_mmdet.counting import answers_as_counted, is_counted
from orxe_mmdet.kept_config import KeptConfig
from orxe_mmdet.originals import OriginalImages, original_image
from orxe_plugins.cascade.build import CascadeLike, ExpertLike, build_cascade, label_arguments
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.detection.rows import BoxRows
from orxe_plugins.errors import OrxeError, check_known

#: the test pipeline that a cascade needs: the original image, and the annotations for evaluation
TEST_PIPELINE = (
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape")},
)


#: arguments that mmdet's tools or configs may give to any detector; all but the first must be empty
_OF_EVERY_DETECTOR = ("backbone", "data_preprocessor", "init_cfg", "train_cfg", "test_cfg")
#: parts that most detectors have, which hooks and scripts ask for
_PARTS = ("backbone", "neck", "bbox_head", "rpn_head", "roi_head", "mask_head")


@MODELS.register_module()
class CascadeDetector(CascadeControls, BaseDetector):
    """A cascade of object detectors that is configured, built and called as any mmdet detector.

    The model's inputs are original images: its test pipeline loads and packs them and does nothing
    else, see ``TEST_PIPELINE``. Every expert prepares its own view of an original with the pipeline and
    at the scale that it was trained for, whichever framework it is from.

    Each data sample that comes back has ``pred_instances`` and, as metainfo, ``orxe_expert`` (name of
    the expert that answered), ``orxe_expert_index``, ``orxe_confidence`` (that expert's) and ``orxe_cost``
    (of all experts that ran, GMACs unless the experts say otherwise).

    Args:
        experts: addresses, or mappings with the fields of an expert's spec, cheapest first. An address
            without an adapter, such as ``rtmdet_tiny_8xb32-300e_coco@FILE``, is one of mmdet.
        exit_thresholds: one for each expert but the last; None in it is "never".
        cascade: instead of ``experts``: a folder that `orxe run` wrote, or a cascade.
        classes: label names of the answers, by default those of the first expert without a remap; or a word: "data"
            drops labels that are not among ``names``, "intersect" those that not every expert knows.
        remap: what labels of some expert are called among ``classes``; None drops a label.
        **more: any of
            ``skip_thresholds``: one for each expert but the last, none by default;
            ``names``: label names of the answers, where ``classes`` is a word;
            ``preference``: where a fitted cascade starts, 0 = only cost counts, 1 = only performance counts;
            ``trust``: with ``cascade=FOLDER``, whether what building its experts runs and fetches is trusted;
            ``backbone``: has no effect; ``init_detector`` expects one in every config;
            ``data_preprocessor``, ``init_cfg``, ``train_cfg``, ``test_cfg``: empty: experts have their own.

    Attributes:
        test_cfg: empty; mmdet's demos write options into it that only detectors with a text have.

    Raises:
        OrxeError: an expert, a threshold or the folder is not right, an argument is unknown, or labels do not fit.
    """

    def __init__(
        self,
        experts: Sequence[ExpertLike] | None = None,
        exit_thresholds: Sequence[float | None] | None = None,
        *,
        cascade: CascadeLike | None = None,
        classes: Sequence[str] | str | None = None,
        remap: Mapping[str, str | None] | None = None,
        **more: Any,
    ) -> None:
        known = ("skip_thresholds", "preference", "names", "trust", "trust_changed", *_OF_EVERY_DETECTOR)
        check_known("argument of CascadeDetector", more, known)
        of_mmdet = {name: more.pop(name, None) for name in _OF_EVERY_DETECTOR}
        for name in _OF_EVERY_DETECTOR[1:]:
            if of_mmdet[name]:
                raise OrxeError(f"a cascade takes no {name}, but {of_mmdet[name]!r} is given: each expert has its own")
        super().__init__(data_preprocessor=OriginalImages())
        self.test_cfg = ConfigDict()
        labels = label_arguments(classes, more.pop("names", None))
        wanted = {"exit_thresholds": exit_thresholds, **labels, "remap": remap, **more}
        self.cascade = build_cascade(experts, cascade, adapter="mmdet", task="detection", **wanted)
        self._dataset_meta: dict[str, Any] = {"classes": self.cascade.answer_names}
        self.register_load_state_dict_post_hook(_accept_no_weights)
        self.eval()

    @property
    def dataset_meta(self) -> dict[str, Any]:
        """Class names and palette, as mmdet's inference functions read them."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: Mapping[str, Any]) -> None:
        # mmdet sets the COCO classes where it loads no checkpoint; the names of the experts are the right ones.
        self._dataset_meta = {**meta, "classes": self._dataset_meta["classes"]}

    @property
    def cfg(self) -> Config:
        """The config, as ``init_detector`` sets it; a copy of it shares nothing with it."""
        return self._cfg

    @cfg.setter
    def cfg(self, cfg: Config | ConfigDict) -> None:
        self._cfg = KeptConfig.of(cfg if isinstance(cfg, Config) else Config(cfg))

    def save_checkpoint(self, path: str | Path) -> Path:
        """Write the small file that ``tools/test.py`` takes as its checkpoint: class names, no weights.

        The experts' weights stay in their own files, which the config names.
        """
        classes = list(self.dataset_meta["classes"])
        torch.save({"meta": {"dataset_meta": {"classes": classes}}, "state_dict": {}}, path)
        return Path(path)

    # --- what a detector does -----------------------------------------------------------------------

    def init_weights(self) -> None:
        """Nothing: the experts were loaded when the cascade was built."""

    def predict(self, batch_inputs: Sequence[Tensor], batch_data_samples: Sequence[Any] | None = None) -> list[Any]:
        """Detections of B images.

        Args:
            batch_inputs: B original images, each (C, H, W) with BGR pixels from 0 to 255.
            batch_data_samples: B data samples, which are filled and returned.
        """
        samples = list(batch_data_samples or (DetDataSample() for _ in batch_inputs))
        images = [original_image(*pair) for pair in zip(batch_inputs, samples, strict=True)]
        outputs, route = self.cascade.route(images)
        parts = BoxRows.of(outputs).split(self.data_preprocessor.device)
        here = route.to_host()
        columns = zip(parts, *(part.tolist() for part in (here.expert, here.confidence, here.cost)), strict=True)
        for sample, (rows, expert, confidence, cost) in zip(samples, columns, strict=True):
            sample.pred_instances = InstanceData(
                bboxes=rows[:, :4].contiguous(), scores=rows[:, 4], labels=rows[:, 5].long()
            )
            sample.set_metainfo(
                {
                    "orxe_expert": self.cascade.members[expert].name,
                    "orxe_expert_index": expert,
                    "orxe_confidence": confidence,
                    "orxe_cost": cost,
                }
            )
        return samples

    def loss(self, batch_inputs: Any, batch_data_samples: Any) -> NoReturn:
        """Not offered: experts are trained one by one."""
        raise OrxeError(
            "a CascadeDetector is not trained: train each expert with its own config, then name its checkpoint"
        )

    def _forward(self, batch_inputs: Sequence[Tensor], batch_data_samples: Any = None) -> tuple[Tensor, ...]:
        """Answers as bare tensors, for mmengine's counter of operations and for nothing else."""
        if is_counted(self):
            samples = batch_data_samples or [DetDataSample() for _ in batch_inputs]
            images = [original_image(*pair) for pair in zip(batch_inputs, samples, strict=True)]
            return answers_as_counted(self.cascade, images)
        raise OrxeError(
            "a CascadeDetector has no raw outputs that its experts share: call it with mode='predict'. Nor "
            "is it one graph that could be exported: export each expert by itself"
        )

    def extract_feat(self, batch_inputs: Any) -> NoReturn:
        """Not offered: every expert has its own features."""
        raise OrxeError("a CascadeDetector has no features that its experts share: ask cascade.experts[i].module")

    def __getattr__(self, name: str) -> Any:
        if name in _PARTS:
            # An AttributeError, so that hasattr() is False, as mmdet asks.
            raise AttributeError(f"a CascadeDetector has no {name}; its experts have: cascade.experts[i].module.{name}")
        return super().__getattr__(name)


def _accept_no_weights(module: torch.nn.Module, incompatible: Any) -> None:
    """Accept the small checkpoint of ``save_checkpoint``, which has no weights, without a warning of missing ones."""
    if {name for name, _ in module.named_parameters()} <= set(incompatible.missing_keys):
        incompatible.missing_keys.clear()
