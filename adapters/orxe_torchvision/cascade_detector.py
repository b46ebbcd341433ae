"""``torchvision.models.get_model("orxe_metamodel_detection")``: a cascade of detectors as a torchvision model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.models._api import register_model  # torchvision has no public way to register a model

from orxe_plugins.cascade.build import CascadeLike, ExpertLike, build_cascade
from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.detection.rows import BoxRows
from orxe_plugins.errors import MissingAttributeError, OrxeError
from orxe_torchvision.detection import BACKGROUND, NOT_A_LABEL, TorchvisionDetector

#: parts of torchvision's detectors that tools reach for to change them
_PARTS = ("transform", "backbone", "rpn", "roi_heads", "anchor_generator")


class CascadeDetector(CascadeControls, nn.Module):
    """A cascade of object detectors that is called as any torchvision detector.

    In eval mode ``model(images)`` takes a list of float tensors (3, H, W) with RGB values in [0, 1] and
    of any sizes, and gives for each a dict of ``boxes`` (K, 4), corners in its pixels, ``labels``, int64
    numbers of ``categories``, and ``scores``, best first. In train mode ``model(images, targets)`` gives a
    dict of losses: those of every expert, named by its position, as ``0_loss_classifier``.

    Args:
        cascade: the experts and their thresholds.
        categories: a name for each label number, the background's first; see :func:`default_categories`.

    Raises:
        OrxeError: the names are not those that the cascade answers with.
    """

    def __init__(self, cascade: Cascade, categories: Sequence[str] | None = None) -> None:
        super().__init__()
        self.cascade = cascade
        names = cascade.answer_names
        self.categories = tuple(categories) if categories is not None else default_categories(cascade)
        number = {normalise_label(name): i for i, name in enumerate(self.categories)}
        if set(map(normalise_label, names)) != set(map(normalise_label, _labels_of(self.categories))):
            raise OrxeError(
                f"categories are {self.categories!r:.200}: expected {BACKGROUND!r}, then the names {names!r:.200} in "
                f"any order, with {NOT_A_LABEL!r} for numbers without a label"
            )
        self._number_of_label = torch.tensor([number[normalise_label(name)] for name in names], dtype=torch.int64)
        self.eval()

    def __getattr__(self, name: str) -> Any:
        if name in _PARTS:
            raise MissingAttributeError(
                f"a cascade of detectors has no {name}: each expert has its own "
                f"(model.cascade.members[i].module.{name}), and options such as min_size go to the experts"
            )
        return super().__getattr__(name)

    def forward(self, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]] | None = None) -> Any:
        """Losses in train mode, else B dicts; see the class.

        Args:
            images: B images; the list and its tensors stay as they are.
            targets: B dicts with ``boxes`` (G, 4), corners in pixels, and ``labels``, int64 (G,); for training.

        Raises:
            OrxeError: in train mode, an expert is not one of torchvision, or there are no targets.
        """
        if self.training:
            return self._losses(images, targets)
        originals = list(images)
        for image in originals:
            if image.ndim != 3:
                raise OrxeError(f"an image has shape {tuple(image.shape)}: expected (C, H, W)")
        outputs, _ = self.cascade.route(originals)
        found = BoxRows.of(outputs).best_first().relabelled(self._number_of_label)
        devices = {image.device for image in originals}
        # Images of one device get their boxes by one transfer.
        together = devices.pop() if len(devices) == 1 else torch.device("cpu")
        parts = zip(found.split(together), originals, strict=True)
        return [_answer(rows.to(image.device)) for rows, image in parts]

    def _losses(self, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]] | None) -> dict[str, Tensor]:
        if targets is None:
            raise OrxeError(
                "a detector in train mode needs targets: call model(images, targets), or model.eval() first"
            )
        wanted = [self._target(target) for target in targets]
        context = self.cascade.context(images)
        losses = {}
        for i, expert in enumerate(self.cascade.members):
            if not isinstance(expert, TorchvisionDetector):
                raise OrxeError(
                    f"expert {expert.name!r} is not a torchvision model: train it with its own framework, "
                    "then build the cascade with its checkpoint"
                )
            for name, loss in expert.losses(images, wanted, context).items():
                losses[f"{i}_{name}"] = loss
        return losses

    def _target(self, target: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A target with labels of the cascade instead of numbers of ``categories``."""
        labels = target["labels"]
        label_of_number = torch.full((len(self.categories),), -1)
        label_of_number[self._number_of_label] = torch.arange(len(self._number_of_label))
        bad = (labels < 0) | (labels >= len(self.categories))
        found = label_of_number.to(labels.device)[labels.clamp(0, len(self.categories) - 1)]
        bad |= found < 0
        if bool(bad.any()):
            raise OrxeError(
                f"a target has label {int(labels[bad][0])}, which is no object: expected numbers of model.categories"
            )
        return {**target, "labels": found}


def _answer(rows: Tensor) -> dict[str, Tensor]:
    return {"boxes": rows[:, :4].contiguous(), "labels": rows[:, 5].long(), "scores": rows[:, 4]}


def default_categories(cascade: Cascade) -> tuple[str, ...]:
    """What torchvision would call label numbers of a cascade, the background first.

    That is the numbering of the first torchvision expert with the cascade's labels; COCO's own
    numbers, 1 to 90 with gaps, for the labels of COCO; else 1, 2, 3, ... in the labels' order.
    """
    names = cascade.answer_names
    known = [expert.categories for expert in cascade.members if isinstance(expert, TorchvisionDetector)]
    known.append(tuple(get_model_weights("ssdlite320_mobilenet_v3_large")["COCO_V1"].meta["categories"]))
    wanted = sorted(map(normalise_label, names))
    for categories in known:
        if sorted(map(normalise_label, _labels_of(categories))) == wanted:
            return categories
    return (BACKGROUND, *names)


def _labels_of(categories: Sequence[str]) -> list[str]:
    return [name for name in categories[1:] if name != NOT_A_LABEL]


@register_model()
def orxe_metamodel_detection(
    *,
    experts: Sequence[ExpertLike] | None = None,
    cascade: CascadeLike | None = None,
    categories: Sequence[str] | None = None,
    remap: Mapping[str, str | None] | None = None,
    **options: Any,
) -> CascadeDetector:
    """A cascade of object detectors.

    Args:
        experts: cheapest first; names of torchvision such as ``ssdlite320_mobilenet_v3_large``, or
            addresses of any adapter, such as ``ultralytics:yolov8n.pt?imgsz=320``.
        cascade: instead of ``experts``: a folder that `orxe run` wrote, or a cascade.
        categories: a name for each label number of the answers, ``__background__`` first and "N/A" for
            numbers without a label; see :func:`default_categories` for what is taken otherwise.
        remap: what labels of some expert are called among ``categories``; None drops a label. Other
            labels are matched by name.
        **options: any of
            ``checkpoints``: a file of weights for each expert, None for its own;
            ``expert_kwargs``: options for each expert;
            ``exit_thresholds``: one for each expert but the last, in which None is "never";
            ``skip_thresholds``: likewise; a threshold of 0 skips no image;
            ``preference``: where a cascade starts, 0 = only cost counts, 1 = only performance counts;
            ``trust``: with ``cascade=FOLDER``, whether what building its experts runs and fetches is trusted;
            and options for every torchvision expert, such as ``weights``, ``score_thresh``, or ``classes`` for models
            of other labels than COCO's. As ever in torchvision, ``weights=None`` means random weights; without it,
            experts take their best ones.

    Raises:
        OrxeError: arguments contradict each other, an expert is unknown or no detector, or labels do not fit.
    """
    names = None if categories is None else _labels_of(categories)
    built = build_cascade(
        experts, cascade, adapter="torchvision", task="detection", names=names, remap=remap, **options
    )
    return CascadeDetector(built, categories)
