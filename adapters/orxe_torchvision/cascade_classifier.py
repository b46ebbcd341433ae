"""``torchvision.models.get_model("orxe_metamodel")``: a cascade of classifiers as a torchvision model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models._api import register_model  # torchvision has no public way to register a model
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from orxe_plugins.cascade.build import CascadeLike, ExpertLike, build_cascade
from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.errors import OrxeError


class CascadeClassifier(CascadeControls, nn.Module):
    """A cascade of image classifiers that is called as any torchvision classifier.

    ``model(images)`` takes one float tensor (B, 3, H, W) as :meth:`transforms` makes it, or a list of
    B original images (PIL images or uint8 arrays), and gives logits (B, C). In train mode every
    expert runs, and the mean of their logits comes back.

    Args:
        cascade: the experts and their thresholds.
    """

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.cascade = cascade
        self.eval()

    def forward(self, images: Any) -> Tensor:
        """Logits (B, C)."""
        return self.cascade(images)

    def transforms(self) -> ImageClassification:
        """torchvision's own preparation of the tensor that the experts share, as weights have one.

        It takes PIL images and tensors. Every expert derives its own view of what comes out.
        """
        view = self.cascade.input_view
        if view is None:
            raise OrxeError(
                "the experts of this cascade are plain modules, which do not say how their input is made: "
                "prepare it as they were trained, or build the cascade from addresses"
            )
        preset = ImageClassification(
            crop_size=view.size[0],
            resize_size=view.resize,
            mean=view.mean,
            std=view.std,
            interpolation=InterpolationMode(view.interpolation),
        )
        if view.squash:
            preset.resize_size = [view.resize, view.resize]
        return preset


@register_model()
def orxe_metamodel(
    *, experts: Sequence[ExpertLike] | None = None, cascade: CascadeLike | None = None, **options: Any
) -> CascadeClassifier:
    """A cascade of image classifiers.

    Args:
        experts: cheapest first; names of torchvision such as ``resnet18?weights=IMAGENET1K_V2``, or
            addresses of any adapter, such as ``timm:mobilenetv3_small_100``.
        cascade: instead of ``experts``: a folder that `orxe run` wrote, or a cascade.
        **options: any of
            ``checkpoints``: a file of weights for each expert, None for its own;
            ``expert_kwargs``: options for each expert;
            ``exit_thresholds``: one for each expert but the last, in which None is "never";
            ``skip_thresholds``: likewise; a threshold of 0 skips no sample;
            ``preference``: where a cascade starts, 0 = only cost counts, 1 = only performance counts;
            ``trust``: with ``cascade=FOLDER``, whether what building its experts runs and fetches is trusted;
            and options for every torchvision expert, such as ``weights``, ``num_classes`` and ``progress``. As ever in
            torchvision, ``weights=None`` means random weights; without it, experts take their best ones.

    Raises:
        OrxeError: arguments contradict each other, or an expert is unknown or no classifier.
    """
    return CascadeClassifier(build_cascade(experts, cascade, adapter="torchvision", task="classification", **options))
