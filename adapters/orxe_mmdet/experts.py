"""Experts out of mmdet detectors: ``mmdet:CONFIG@CHECKPOINT?option=value``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import mmdet
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from orxe_mmdet.blueprint import Blueprint
from orxe_mmdet.checkpoints import Checkpoint, load_weights, read_checkpoint
from orxe_mmdet.configs import dataset_classes, find_config, load_config, pretrained_url
from orxe_mmdet.ops import is_fallback
from orxe_mmdet.scales import at_scale, scale_of
from orxe_plugins.cost.macs import EXAMPLE_SIZE, detector_macs
from orxe_plugins.data.batch import rows_by
from orxe_plugins.data.images import to_array
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.rows import BoxRows, box_rows
from orxe_plugins.errors import OrxeError, check_known
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import FeatureLayer

PRETRAINED = "pretrained"


class MMDetExpert(DetectorExpert):
    """An mmdet detector that runs its own config's test pipeline on the original image.

    Images whose views have the same shape go through the model together, others apart: a batch
    is never padded to its largest image, so that an answer does not depend on its neighbours.

    Args:
        pipeline: the test pipeline, from ``dict(img=BGR array)`` to ``dict(inputs, data_samples)``.
        score_thr: boxes with a score that is not above it are left out.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        pipeline: Compose,
        names: Sequence[str],
        score_thr: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(name, module, names=names, **options)
        self.pipeline = pipeline
        self.score_thr = score_thr
        #: what the detector was built of; None for one that was made by hand
        self.blueprint: Blueprint | None = None
        self.feature_layer = FeatureLayer("backbone") if hasattr(module, "backbone") else None

    @property
    def view_in_words(self) -> str:
        """What it sees of an image, in words; empty where its test pipeline does not resize."""
        scale = None if self.blueprint is None else scale_of(self.blueprint.pipeline)
        return "" if scale is None else f"the whole image, within {scale[0]} x {scale[1]} px"

    def prepare(self, batch: Sequence[Any]) -> list[dict[str, Any]]:
        """The model's views of B original images, as mmdet packs them."""
        return [self._view(image) for image in batch]

    @torch.no_grad()
    def forward(self, batch: Sequence[Any], context: BatchContext | None = None) -> list[Detections]:
        """Detections of B original images, in their own pixels."""
        model: Any = self.module  # mmengine's BaseModel, which has no types
        if model.data_preprocessor.device != self.device:
            # mmengine remembers a device of its own, which a move of an outer module does not reach.
            model.data_preprocessor.to(self.device)
        views = self.prepare(batch)
        parts: dict[int, Tensor] = {}
        for rows in rows_by(view["inputs"].shape for view in views):
            if context is not None:
                context.next_call_on(self, rows)
            for i, sample in zip(rows, self._test([views[i] for i in rows]), strict=True):
                parts[i] = _rows(sample)
        found = BoxRows.of_parts([parts[i] for i in range(len(views))])
        # Checked before boxes are left out: a model that answers NaN is not one that finds nothing.
        return [each.above(self.score_thr) for each in found.detections(self.names)]

    def _test(self, views: Sequence[dict[str, Any]]) -> Sequence[Any]:
        """mmdet's data samples of B views of one shape."""
        model: Any = self.module
        try:
            return model.test_step({key: [view[key] for view in views] for key in ("inputs", "data_samples")})
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # DINO, for one, wants more positions than a very long and thin image has.
            height, width = views[0]["inputs"].shape[-2:]
            raise OrxeError(
                f"expert {self.name!r} fails on images that its pipeline made {width} x {height} pixels: {error}"
            ) from error

    def measure_cost(self, batch: Any = None) -> float:
        """GMACs of one whole test step at the model's own test scale, counted once and kept in ``cost``."""
        if self.cost is None:
            self.cost = detector_macs(self, self.cost_key) / 1e9 + self.confidence.gmacs
        return self.cost

    def _view(self, image: Any) -> dict[str, Any]:
        pixels = np.ascontiguousarray(to_array(image)[..., ::-1])  # RGB -> BGR, as mmcv reads files
        try:
            return self.pipeline({"img": pixels, "img_id": 0})
        except cv2.error as error:
            height, width = pixels.shape[:2]
            raise OrxeError(
                f"expert {self.name!r} cannot prepare an image of {width} x {height} pixels: {error.err}"
            ) from error


def _rows(sample: Any) -> Tensor:
    """The boxes of one of mmdet's data samples, (k, 6)."""
    found = sample.pred_instances
    return box_rows(getattr(found.bboxes, "tensor", found.bboxes), found.scores, found.labels)


@dataclass(frozen=True)
class LoadOptions:
    """How an expert's weights are loaded, at which scale it sees images, and where it goes.

    Attributes:
        random_weights: do without a checkpoint; for tests and for counting operations.
        trust_checkpoint: allow full unpickling, see :func:`orxe_mmdet.checkpoints.read_checkpoint`.
        strict: raise where the checkpoint lacks weights of the model; False warns, as mmdet itself does.
        device: where the model goes.
        scale: width and height within which it sees an image, such as ``1333x800``; the config's by default.
    """

    random_weights: bool = False
    trust_checkpoint: bool = False
    strict: bool = True
    device: str = "cpu"
    scale: str | int | Sequence[int] | None = None


def load_expert(
    name: str,
    *,
    checkpoint: str | None = None,
    repo: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    score_thr: float = 0.0,
    **options: Any,
) -> MMDetExpert:
    """An mmdet detector as an expert.

    Args:
        name: ``CONFIG@CHECKPOINT``. CONFIG is a config file or the name of one that mmdet ships, such
            as ``rtmdet_tiny_8xb32-300e_coco``. CHECKPOINT is a ``.safetensors`` or ``.pth`` file, an
            http(s) address, or ``pretrained`` for the address that mmdet's own metafile gives.
        checkpoint: the checkpoint, where it is not part of the name.
        repo: a checkout of mmdetection, for configs that need its ``projects``, such as Co-DETR. It is added to the
            end of ``sys.path``.
        cfg_options: values to set in the config, such as ``{"model.test_cfg.nms_pre": 1000}``.
        classes: label names; by default those in the checkpoint, else those of the config's data set.
        score_thr: boxes with a score that is not above it are left out.
        **options: random_weights, trust_checkpoint, strict, device, scale: see :class:`LoadOptions`.

    Raises:
        OrxeError: the config or the checkpoint does not exist or does not fit, an option is unknown,
            or neither a checkpoint nor random weights are asked for.
    """
    own = [field.name for field in fields(LoadOptions)]
    check_known("mmdet option", options, (*own, *(load_expert.__kwdefaults__ or ())))
    how = LoadOptions(**options)
    config_name, _, in_name = name.partition("@")
    checkpoint = _one_checkpoint(name, in_name, checkpoint, how.random_weights)
    path = find_config(config_name, repo)
    cfg = load_config(path, repo, cfg_options)
    blueprint = Blueprint.of_config(cfg, repo)
    if how.scale is not None:
        blueprint = replace(blueprint, pipeline=at_scale(blueprint.pipeline, how.scale))
    module, pipeline = blueprint.build(name)
    with DefaultScope.overwrite_default_scope(blueprint.scope):
        known = dataset_classes(cfg)
    read = Checkpoint({})
    if checkpoint is not None:
        source = pretrained_url(path) if checkpoint == PRETRAINED else checkpoint
        read = read_checkpoint(source, how.trust_checkpoint)
        load_weights(module, read, source, how.strict)
    names = tuple(classes or read.classes or known)
    _check_classes(name, module, names)
    expert = MMDetExpert(f"mmdet:{name}", module, pipeline=pipeline, names=names, score_thr=score_thr)
    expert.blueprint = blueprint
    if checkpoint is not None:
        expert.cost_key = _cost_key(f"{blueprint.model} {blueprint.pipeline}", module)
    return expert.to(how.device).eval()


def load_untrained(name: str, **options: Any) -> MMDetExpert:
    """The same architecture with random weights: no checkpoint is read, nothing is downloaded."""
    given = {**options, "random_weights": True, "checkpoint": None}
    return load_expert(name.partition("@")[0], **given)


def _cost_key(description: str, module: nn.Module) -> dict[str, Any]:
    """All that the counted operations depend on; the weights decide how many regions are looked at."""
    *_, last = module.parameters()
    weights = hashlib.sha256(last.detach().float().numpy().tobytes()).hexdigest()
    versions = {"mmdet": mmdet.__version__, "torch": torch.__version__, "fallback": is_fallback()}
    return {"adapter": "mmdet", "model": description, "weights": weights, "image": EXAMPLE_SIZE, **versions}


def _one_checkpoint(name: str, in_name: str, option: str | None, random_weights: bool) -> str | None:
    given = [value for value in (in_name, option) if value]
    if len(given) + bool(random_weights) != 1:
        raise OrxeError(
            f"expert 'mmdet:{name}' has {len(given)} checkpoints and random_weights={random_weights}: expected "
            "CONFIG@CHECKPOINT, CONFIG@pretrained for mmdet's own weights, or random_weights=true without a checkpoint"
        )
    return given[0] if given else None


def _check_classes(name: str, module: nn.Module, names: tuple[str, ...]) -> None:
    """Raise unless the names fit the model's head, and the model answers from an image alone."""
    if hasattr(module, "language_model"):
        raise OrxeError(f"expert 'mmdet:{name}' wants a text beside the image: such detectors are not supported")
    for head in (getattr(module, "bbox_head", None), getattr(getattr(module, "roi_head", None), "bbox_head", None)):
        if isinstance(head, nn.ModuleList):
            head = next(iter(head), None)
        count = getattr(head, "num_classes", None)
        if isinstance(count, int) and count != len(names):
            raise OrxeError(f"expert 'mmdet:{name}' has {count} classes, but {len(names)} label names: give classes=")
