"""A cascade as a timm model: what ``timm.create_model("orxe_metamodel")`` gives."""

from __future__ import annotations

import math
import warnings
from typing import Any, NoReturn, cast

from torch import Tensor, nn

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.data.views import ImageView
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.policies.table import PolicyTable


class Metamodel(CascadeControls, nn.Module):
    """A cascade of classifiers that behaves as any timm model.

    ``model(images)`` gives logits (B, C); ``model.route(images)`` gives them with a
    :class:`~orxe_plugins.cascade.routing.Route`. Images are a float tensor (B, 3, H, W) that timm's data
    pipeline made for ``model.pretrained_cfg``, out of which every expert's own view is derived; or
    originals, a list of PIL images or uint8 arrays, from which every expert prepares its view.

    In train mode all experts run and the mean of their logits comes back. Features are those of the
    last expert, the one that answers what no other does.

    Args:
        cascade: a cascade of :class:`~orxe_plugins.experts.expert.ClassifierExpert`.

    Attributes:
        num_classes: number of classes C; 0 after ``reset_classifier(0)``.
        num_features, head_hidden_size: widths of the last expert's features.
        pretrained_cfg, default_cfg: what timm's ``resolve_data_config`` reads.
    """

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        if not all(isinstance(expert, ClassifierExpert) for expert in cascade.members) or cascade.input_view is None:
            raise OrxeError("a timm metamodel is a cascade of image classifiers alone")
        self.cascade = cascade
        self.num_classes = self._members[0].num_classes
        self.num_features = _width(self._last, "num_features")
        self.head_hidden_size = _width(self._last, "head_hidden_size")
        last = f"cascade.experts.{len(cascade.members) - 1}.module."
        self.pretrained_cfg = _model_config(cascade.input_view, self.num_classes, self._last, last)
        self.default_cfg = self.pretrained_cfg
        # Unlike timm's own models: a cascade is for inference first, and its experts are trained already.
        self.eval()

    @property
    def _members(self) -> tuple[ClassifierExpert, ...]:
        return tuple(cast(ClassifierExpert, expert) for expert in self.cascade.members)

    @property
    def _last(self) -> nn.Module:
        return self._members[-1].module

    @property
    def table(self) -> PolicyTable | None:
        """The fitted policies; None if the cascade was never fitted."""
        return self.cascade.table

    def forward(self, images: Any) -> Tensor:
        """Logits (B, C); features of the last expert where the classifier was removed."""
        if self.num_classes == 0:
            return self.forward_head(self.forward_features(images))
        return self.cascade(images)

    # --- what timm asks of its models -----------------------------------------------------------

    def forward_features(self, images: Any) -> Tensor:
        """Unpooled features of the last expert."""
        return self._call_last("forward_features", self._members[-1].prepare(images))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """What the last expert's head makes of its features."""
        return self._call_last("forward_head", features, pre_logits=pre_logits)

    def get_classifier(self) -> nn.Module:
        """The last expert's classifier."""
        return self._call_last("get_classifier")

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Give every expert a new classifier; fitted thresholds are not those of the new classes.

        Args:
            num_classes: number of classes; 0 removes the classifiers, so that features come out.
            global_pool: kind of pooling; None keeps it.
        """
        pooling = {} if global_pool is None else {"global_pool": global_pool}
        resets = [getattr(expert.module, "reset_classifier", None) for expert in self._members]
        for expert, reset in zip(self._members, resets, strict=True):
            if reset is None:
                raise OrxeError(f"expert {expert.name!r} has no reset_classifier: only timm's own models do")
        for expert, reset in zip(self._members, resets, strict=True):
            reset(num_classes, **pooling)  # type: ignore[misc]
            expert.num_classes = num_classes
        if self.cascade.table is not None and num_classes:
            warnings.warn(
                "the fitted policies belonged to the former classes and were dropped: fit again", stacklevel=2
            )
            self.cascade.table = None
        self.num_classes = num_classes
        self.pretrained_cfg["num_classes"] = num_classes

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Turn gradient checkpointing on or off in every expert that has it."""
        for expert in self._members:
            if hasattr(expert.module, "set_grad_checkpointing"):
                cast(Any, expert.module).set_grad_checkpointing(enable)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that the experts want to keep out of weight decay."""
        names = set()
        for i, expert in enumerate(self._members):
            if hasattr(expert.module, "no_weight_decay"):
                kept = cast(Any, expert.module).no_weight_decay()
                names |= {f"cascade.experts.{i}.module.{name}" for name in kept}
        return names

    def _call_last(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self._last, method):
            raise OrxeError(f"the last expert {self._members[-1].name!r} has no {method}: only timm's own models do")
        return getattr(self._last, method)(*args, **kwargs)

    def __prepare_scriptable__(self) -> NoReturn:
        raise OrxeError(
            "torch.jit.script cannot compile a cascade, whose path depends on the data: use torch.jit.trace or "
            "torch.onnx.export, which run every expert and select (model.cascade.dense)"
        )


def _model_config(view: ImageView, num_classes: int, last: nn.Module, prefix: str) -> dict[str, Any]:
    """timm's model configuration for the one tensor that all experts share; ``prefix`` leads to the last one."""
    inner = getattr(last, "pretrained_cfg", {}) or {}
    return {
        "url": "",
        "num_classes": num_classes,
        "input_size": (view.channels, *view.size),
        "crop_pct": _crop_share(view),
        "crop_mode": "squash" if view.squash else "center",
        "interpolation": view.interpolation,
        "mean": view.mean,
        "std": view.std,
        "architecture": "orxe_metamodel",
        "pool_size": inner.get("pool_size"),
        "first_conv": _prefixed(prefix, inner.get("first_conv")),
        "classifier": _prefixed(prefix, inner.get("classifier")),
    }


def _prefixed(prefix: str, names: Any) -> Any:
    """Names of layers, one or several, as the metamodel's state dict has them."""
    if isinstance(names, (list, tuple)):
        return tuple(prefix + name for name in names)
    return prefix + names if names else None


def _crop_share(view: ImageView) -> float:
    """The share that leads timm, which rounds ``size / share`` down, to the view's own resize."""
    share = min(view.size) / view.resize
    while math.floor(min(view.size) / share) < view.resize:
        share = math.nextafter(share, 0.0)
    return share


def _width(module: nn.Module, name: str) -> int:
    """Width of the features that timm calls ``name``; a foreign classifier's is the input of its last layer."""
    width = getattr(module, name, None)
    if width is None:
        linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
        return int(linear[-1].in_features) if linear else 0
    return int(width)
