"""A cascade as a timm model: what ``timm.create_model("orxe_metamodel")`` gives."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.controls import CascadeControls
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.policies.table import PolicyTable
from orxe_timm import saved
from orxe_timm.config import feature_width, model_config
from orxe_timm.methods import TimmMethods


class CascadeClassifier(CascadeControls, TimmMethods):
    """A cascade of classifiers that behaves as any timm model.

    ``model(images)`` gives logits (B, C); ``model.route(images)`` gives them with a
    :class:`~orxe_plugins.cascade.routing.Route`. Images are a float tensor (B, in_chans, H, W) that timm's data
    pipeline made for ``model.pretrained_cfg``, out of which every expert's own view is derived; or
    originals, a list of PIL images or uint8 arrays, from which every expert prepares its view.

    In train mode all experts run and the mean of their logits comes back. Features are those of the last expert.

    Args:
        cascade: a cascade of :class:`~orxe_plugins.ClassifierExpert`.

    Attributes:
        num_classes: number of classes C; 0 after ``reset_classifier(0)``.
        in_chans: number of image channels.
        num_features, head_hidden_size: widths of the last expert's features.
        pretrained_cfg, default_cfg: what timm's ``resolve_data_config`` reads.
    """

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        if not all(isinstance(expert, ClassifierExpert) for expert in cascade.members) or cascade.input_view is None:
            raise OrxeError(
                "a cascade that is a timm model has image classifiers as experts and nothing else: load them from "
                "addresses such as 'timm:resnet18'"
            )
        self.cascade = cascade
        self.num_classes = self.members[0].num_classes
        self.in_chans = cascade.input_view.channels
        self.num_features = feature_width(self._last, "num_features")
        self.head_hidden_size = feature_width(self._last, "head_hidden_size")
        modules = [expert.module for expert in self.members]
        self.pretrained_cfg = model_config(cascade.input_view, self.num_classes, modules)
        self.default_cfg = self.pretrained_cfg
        self._pooling: dict[str, str] = {}
        self._given_args: dict[str, Any] = {}
        # Unlike timm's own models: a cascade is for inference first, and its experts are trained already.
        self.eval()

    @property
    def table(self) -> PolicyTable | None:
        """The fitted policies; None if the cascade was never fitted."""
        return self.cascade.table

    def forward(self, images: Any) -> Tensor:
        """Logits (B, C); features of the last expert where the classifier was removed."""
        if self.num_classes == 0:
            return self.forward_head(self.forward_features(images))
        return self.cascade(images)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Give every expert a new classifier; fitted thresholds are not those of the new classes.

        Args:
            num_classes: number of classes; 0 removes the classifiers, so that features come out.
            global_pool: kind of pooling; None keeps it.
        """
        pooling = {} if global_pool is None else {"global_pool": global_pool}
        resets = [getattr(expert.module, "reset_classifier", None) for expert in self.members]
        for expert, reset in zip(self.members, resets, strict=True):
            if reset is None:
                raise OrxeError(f"expert {expert.name!r} has no reset_classifier: only timm's own models do")
        for expert, reset in zip(self.members, resets, strict=True):
            reset(num_classes, **pooling)  # type: ignore[misc]
            expert.num_classes = num_classes
        if num_classes:
            self.drop_table()
        self.num_classes = num_classes
        self._pooling.update(pooling)
        self.pretrained_cfg["num_classes"] = num_classes

    def drop_table(self) -> None:
        """Forget fitted policies, which belong to the classes that they were fitted for, with a warning."""
        if self.cascade.table is not None:
            warnings.warn("the fitted policies belonged to other classes and were dropped: fit again", stacklevel=3)
            self.cascade.table = None

    # --- timm's folders -------------------------------------------------------------------------

    @property
    def model_args(self) -> dict[str, Any]:
        """Arguments of ``timm.create_model`` that build this cascade again, its weights aside; plain JSON values.

        ``timm.models.save_for_hf`` keeps them; timm before 1.0.27 wants to be told: ``model_args=model.model_args``.
        Of a cascade with experts that were built by hand, they are the arguments that it was created with.
        """
        cascade = saved.described(self.cascade, {"num_classes": self.num_classes, **self._pooling})
        return self._given_args if cascade is None else {"cascade": cascade}

    @property
    def _model_args(self) -> dict[str, Any]:
        # timm reads and writes the arguments of a model under this name.
        return self.model_args

    @_model_args.setter
    def _model_args(self, given: dict[str, Any]) -> None:
        self._given_args = given
