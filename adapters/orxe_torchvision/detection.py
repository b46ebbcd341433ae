"""torchvision's object detectors as experts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops.misc import FrozenBatchNorm2d

from orxe_plugins.cost.macs import detector_macs
from orxe_plugins.data.batch import rows_by
from orxe_plugins.data.images import to_tensor
from orxe_plugins.detection.detections import Detections
from orxe_plugins.detection.rows import BoxRows, box_rows
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.batch_context import BatchContext
from orxe_plugins.experts.checkpoints import checkpoint_file, load_checkpoint, read_state_dict
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.expert import FeatureLayer
from orxe_plugins.experts.label_map import LabelMap
from orxe_torchvision.weights import create_model, default_weights, find_weights

BACKGROUND = "__background__"
#: what torchvision calls label numbers that COCO left out
NOT_A_LABEL = "N/A"
#: their COCO_V1 weights were trained with frozen batch norms that had an epsilon of 0
_WITHOUT_EPSILON = ("fasterrcnn_", "maskrcnn_", "keypointrcnn_", "retinanet_")


class TorchvisionDetector(DetectorExpert):
    """A torchvision detector: original images in, boxes in their pixels out.

    Images of the same size go through the model together, others apart: a batch is never padded to
    its largest image, so that an answer does not depend on its neighbours.

    Args:
        categories: a name for each of the model's own label numbers. The first, the background, and
            those called "N/A" are no labels: boxes that have them are dropped.
    """

    def __init__(self, name: str, module: nn.Module, *, categories: Sequence[str], **options: Any) -> None:
        known = tuple(categories)
        numbers = [i for i, label in enumerate(known) if i > 0 and label != NOT_A_LABEL]
        super().__init__(name, module, names=[known[i] for i in numbers], **options)
        self.categories = known
        self._label_of_number = torch.full((len(known),), -1)
        self._label_of_number[numbers] = torch.arange(len(numbers))
        self.feature_layer = FeatureLayer("backbone")

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next((p.dtype for p in self.module.parameters()), torch.float32)

    def prepare(self, batch: Sequence[Any]) -> list[Tensor]:
        """RGB values in [0, 1] of B original images, each (3, H, W); the model resizes them by itself."""
        images = [to_tensor(image).to(self.device, self.dtype) for image in batch]
        for image in images:
            self._check_size(*image.shape[-2:])
        return images

    @torch.no_grad()
    def forward(self, batch: Sequence[Any], context: BatchContext | None = None) -> list[Detections]:
        """Detections of B original images."""
        images = self.prepare(batch)
        parts: dict[int, Tensor] = {}
        for rows in rows_by(image.shape for image in images):
            if context is not None:
                context.next_call_on(self, rows)
            for i, answer in zip(rows, self.module([images[i] for i in rows]), strict=True):
                parts[i] = box_rows(answer["boxes"], answer["scores"], answer["labels"])
        found = BoxRows.of_parts([parts[i] for i in range(len(images))])
        found = found.relabelled(self._label_of_number)
        # Half precision may round a score above 1.
        found.rows[:, 4].clamp_(max=1.0)
        return found.detections(self.names)

    def losses(
        self, images: Sequence[Any], targets: Sequence[Mapping[str, Tensor]], context: BatchContext | None = None
    ) -> dict[str, Tensor]:
        """The model's own training losses; the expert is in train mode.

        Args:
            images: B original images.
            targets: B dicts with ``boxes`` (G, 4), corners in pixels of the image, and ``labels``, int64
                (G,), each an index of the label names that the expert answers with. Objects of labels that the model
                does not know are left out.
            context: what the cascade's experts share, its label names too; None: the expert is trained alone.
        """
        labels = self.labels_of(BatchContext.of(images) if context is None else context)
        number_of = self._number_of_answer(labels).to(self.device)
        return self.module(self.prepare(images), [self._target(target, number_of) for target in targets])

    def _target(self, target: Mapping[str, Tensor], number_of: Tensor) -> dict[str, Tensor]:
        """A target in the model's own label numbers, given those of each label of the answers."""
        boxes, labels = target["boxes"].to(self.device), target["labels"].to(self.device)
        numbers = number_of[labels]
        return {"boxes": boxes[numbers > 0], "labels": numbers[numbers > 0]}

    def _number_of_answer(self, labels: LabelMap) -> Tensor:
        """The model's number of each label of the answers, 0 where it has none, int64."""
        numbers = (self._label_of_number >= 0).nonzero().flatten()  # of each label of the model
        if labels.index is None:
            return numbers
        found = torch.zeros(len(labels.names), dtype=torch.int64)
        for number, answer in zip(numbers.tolist(), labels.index.tolist(), strict=True):
            if answer >= 0 and found[answer]:
                raise OrxeError(
                    f"expert {self.name!r} cannot be trained: several of its labels are {labels.names[answer]!r}"
                )
            if answer >= 0:
                found[answer] = number
        return found

    def measure_cost(self, batch: Any = None) -> float:
        """GMACs of one image of 480 x 640 pixels, resizing and proposals included, kept in ``cost``."""
        if self.cost is None:
            self.cost = detector_macs(self, self.cost_key) / 1e9 + self.confidence.gmacs
        return self.cost

    def _check_size(self, height: int, width: int) -> None:
        """torchvision shrinks a long image until its longer side fits: nothing may be left of the shorter one."""
        transform: Any = getattr(self.module, "transform", None)
        if transform is None or transform.fixed_size is not None:
            return
        shorter, longer = min(height, width), max(height, width)
        if int(shorter * min(transform.min_size[-1] / shorter, transform.max_size / longer)) < 1:
            raise OrxeError(
                f"expert {self.name!r} cannot prepare an image of {width} x {height} pixels: it shrinks its longer "
                f"side to {transform.max_size}, and nothing is left of the shorter one; crop it, or give max_size="
            )


def load_detector(
    name: str,
    *,
    weights: str | None = "DEFAULT",
    checkpoint: str | None = None,
    classes: Sequence[str] | None = None,
    score_thresh: float | None = None,
    nms_thresh: float | None = None,
    detections_per_img: int | None = None,
    **kwargs: Any,
) -> TorchvisionDetector:
    """A torchvision detector as an expert.

    Args:
        name: a name of ``torchvision.models.list_models(module=torchvision.models.detection)``.
        weights: which of the model's weights, as ``COCO_V1``; None or "none" for random ones. They
            also say what the labels are called.
        checkpoint: a file of weights, taken instead of downloading: those of ``weights``, or ones
            trained further from them. Give weights=none for a model that was trained from nothing.
        classes: label names without the background, for a model that was trained on others than
            COCO's; its num_classes is one more.
        score_thresh: boxes at or below this score are left out, in [0, 1].
        nms_thresh: boxes that overlap a better one of their label by more are left out, in [0, 1].
        detections_per_img: at most this many boxes are kept of an image.
        **kwargs: handed to the model's builder: min_size, max_size, trainable_backbone_layers, ...

    Raises:
        OrxeError: the weights are unknown, an option does not fit, or the checkpoint belongs to another model.
    """
    meta = find_weights(name, weights)
    download = meta if checkpoint is None else None
    prefix = "box_" if "rcnn_" in name else ""
    limits = {"score_thresh": score_thresh, "nms_thresh": nms_thresh}
    for key, value in limits.items():
        if value is not None and (isinstance(value, bool) or not 0 <= value <= 1):
            raise OrxeError(f"{key} of expert 'torchvision:{name}' is {value!r}: expected a number in [0, 1]")
    limits["detections_per_img"] = detections_per_img
    kwargs.update({prefix + key: value for key, value in limits.items() if value is not None})
    if download is None:
        # torchvision would download weights of the backbone instead.
        kwargs.setdefault("weights_backbone", None)
    categories = _categories(name, meta or default_weights(name), classes, kwargs)
    kwargs["num_classes"] = len(categories)
    module = create_model(name, download, kwargs)
    label = f"torchvision:{name}"
    if checkpoint is not None:
        if meta is not None:
            _freeze_as_saved(name, meta.name, module, checkpoint)
        load_checkpoint(module, checkpoint, label)
    expert = TorchvisionDetector(label, module.eval(), categories=categories)
    expert.cost_key = _cost_key(name, module, kwargs)
    return expert


def _categories(name: str, meta: Any, classes: Sequence[str] | None, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """A name for each label number of the model, the background's first."""
    if classes is not None:
        categories: tuple[str, ...] = (BACKGROUND, *classes)
    else:
        categories = tuple(meta.meta["categories"]) if meta is not None else ()
    count = kwargs.get("num_classes") or len(categories)
    if not categories or count != len(categories):
        raise OrxeError(
            f"expert 'torchvision:{name}' has {count} classes, the background included, and label names for "
            f"{len(categories)}: give classes=[...], the names without the background"
        )
    return categories


def _freeze_as_saved(name: str, weights: str, module: nn.Module, checkpoint: str) -> None:
    """Freeze the batch norms where torchvision does for pretrained weights, which it knows only if it downloads.

    Frozen norms have no counter of batches, so the checkpoint itself says which ones are.
    """
    saved = read_state_dict(checkpoint_file(checkpoint))
    without_epsilon = weights == "COCO_V1" and name.startswith(_WITHOUT_EPSILON) and name.endswith("resnet50_fpn")
    norms = {path: norm for path, norm in module.named_modules() if type(norm) is nn.BatchNorm2d}
    freeze(
        module,
        {
            path: 0.0 if without_epsilon else norm.eps
            for path, norm in norms.items()
            if f"{path}.num_batches_tracked" not in saved
        },
    )


def freeze(module: nn.Module, epsilons: Mapping[str, float]) -> None:
    """Replace batch norms, named by their paths in ``module``, by frozen ones with the given epsilons."""
    for path, epsilon in epsilons.items():
        norm: Any = module.get_submodule(path)
        parent, _, child = path.rpartition(".")
        setattr(module.get_submodule(parent), child, FrozenBatchNorm2d(norm.num_features, eps=epsilon))


def _cost_key(name: str, module: nn.Module, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All that the counted operations depend on; the weights decide how many regions are looked at."""
    *_, last = module.parameters()
    weights = hashlib.sha256(last.detach().float().cpu().numpy().tobytes()).hexdigest()
    versions = {"torchvision": torchvision.__version__, "torch": torch.__version__}
    return {"adapter": "torchvision", "model": name, "options": kwargs, "weights": weights, **versions}
