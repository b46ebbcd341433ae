"""What timm asks of its models beside logits: by the last expert where one model is meant, else by all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from timm.models import group_parameters
from torch import Tensor, nn

from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.errors import MissingAttributeError, OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_timm.config import prefix_of

#: methods that take images first and that some of timm's models have
_OF_IMAGES = ("forward_intermediates", "get_intermediate_layers")
#: what a cascade has if its last expert, or every expert, has it: models are probed for these by ``hasattr``
_PROBED = (*_OF_IMAGES, "feature_info", "group_matcher")


class TimmMethods(nn.Module):
    """The part of timm's model interface that a cascade answers through its experts."""

    cascade: Cascade

    @property
    def members(self) -> tuple[ClassifierExpert, ...]:
        """The experts, cheapest first."""
        return tuple(cast(ClassifierExpert, expert) for expert in self.cascade.members)

    @property
    def _last(self) -> nn.Module:
        return self.members[-1].module

    # --- the last expert's features -------------------------------------------------------------

    def forward_features(self, images: Any) -> Tensor:
        """Unpooled features of the last expert."""
        return self._call_last("forward_features", self._seen_by_last(images))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """What the last expert's head makes of its features."""
        return self._call_last("forward_head", features, pre_logits=pre_logits)

    def get_classifier(self) -> nn.Module:
        """The last expert's classifier."""
        return self._call_last("get_classifier")

    def __getattr__(self, name: str) -> Any:
        if name not in _PROBED:
            return super().__getattr__(name)
        if name == "group_matcher":
            return self._grouping()
        if not hasattr(self._last, name):
            raise MissingAttributeError(
                f"the cascade has no {name}, as its last expert {self.members[-1].name!r} has none: take another last "
                "expert, or build one of the experts by itself"
            )
        if name == "feature_info":
            return self._feature_info()
        method = getattr(self._last, name)
        return lambda images, *args, **kwargs: method(self._seen_by_last(images), *args, **kwargs)

    def _seen_by_last(self, images: Any) -> Tensor:
        last = self.members[-1]
        return last.prepare(last.as_if_alone(images, self.cascade.context(images)))

    def _feature_info(self) -> list[dict[str, Any]]:
        """The last expert's, with the names that its modules have in the cascade."""
        info = cast(Any, self._last.feature_info)
        prefix = prefix_of(len(self.members) - 1)
        return [{**info[i], "module": prefix + info[i]["module"]} for i in range(len(info))]

    def _call_last(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self._last, method):
            raise OrxeError(f"the last expert {self.members[-1].name!r} has no {method}: only timm's own models do")
        return getattr(self._last, method)(*args, **kwargs)

    # --- training -------------------------------------------------------------------------------

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Turn gradient checkpointing on or off in every expert that has it.

        Raises:
            OrxeError: it is to be turned on, and no expert has it.
        """
        switched = [_set_checkpointing(expert.module, enable) for expert in self.members]
        if enable and not any(switched):
            raise OrxeError("no expert of the cascade has gradient checkpointing: train without it")

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that the experts want to keep out of weight decay."""
        names = set()
        for i, expert in enumerate(self.members):
            if hasattr(expert.module, "no_weight_decay"):
                names |= {prefix_of(i) + name for name in cast(Any, expert.module).no_weight_decay()}
        return names

    def _grouping(self) -> Callable[..., Callable[[str], int]]:
        """timm's ``group_matcher``: layers of all experts counted from their ends, so that heads learn alike."""
        lacking = [expert.name for expert in self.members if not hasattr(expert.module, "group_matcher")]
        if lacking:
            raise MissingAttributeError(f"the cascade has no group_matcher, as expert {lacking[0]!r} has none")

        def group_matcher(coarse: bool = False) -> Callable[[str], int]:
            layers = [_layers(expert.module, coarse) for expert in self.members]
            depth = max(max(own.values(), default=0) for own in layers)
            ordinals = {
                prefix_of(i) + name: depth - max(own.values()) + layer
                for i, own in enumerate(layers)
                for name, layer in own.items()
            }
            return lambda name: _ordinal(name, ordinals, depth)

        return group_matcher

    # --- weights --------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As torch does; weights of another model raise an OrxeError that says whose they are, strict or not."""
        if state_dict and not any(name.startswith("cascade.") for name in state_dict):
            raise OrxeError(self._foreign(state_dict))
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _foreign(self, weights: Mapping[str, Any]) -> str:
        shown = ", ".join(list(weights)[:3]) + (", …" if len(weights) > 3 else "")
        facts = f"the checkpoint holds {len(weights)} weights of one model ({shown}), not of a cascade"
        for i, expert in enumerate(self.members):
            if set(weights) == set(expert.module.state_dict()):
                return (
                    f"{facts}; their names are those of expert {i + 1} of {len(self.members)}, {expert.name!r}: give "
                    "checkpoints=[FILE, ...] with one file, or None, for each expert"
                )
        return f"{facts}, and of none of its experts: {', '.join(expert.name for expert in self.members)}"


def _set_checkpointing(module: nn.Module, enable: bool) -> bool:
    """Whether the model could do it: most of timm's models have the method, and some only to refuse."""
    try:
        cast(Any, module).set_grad_checkpointing(enable)
    except (AttributeError, AssertionError, NotImplementedError):
        return False
    return True


def _ordinal(name: str, ordinals: Mapping[str, int], depth: int) -> int:
    """The layer of a parameter, or of a module by its first parameter; a gate's weights learn as the heads do."""
    if name in ordinals:
        return ordinals[name]
    return next((layer for own, layer in ordinals.items() if own.startswith(name + ".")), depth)


def _layers(module: nn.Module, coarse: bool) -> dict[str, int]:
    """Number of the layer that each parameter of one expert belongs to."""
    return group_parameters(module, cast(Any, module).group_matcher(coarse=coarse), reverse=True)
