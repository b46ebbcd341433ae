"""torchvision's models and weights by name, with errors that say what to give instead."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from orxe_plugins.errors import OrxeError, unknown


def weights_enum(name: str) -> type[WeightsEnum] | None:
    """The weights that torchvision lists for a model; models that others registered may have none."""
    try:
        return get_model_weights(name)
    except ValueError:
        return None


def default_weights(name: str) -> WeightsEnum | None:
    """The weights that torchvision recommends for a model, if it lists any."""
    enum = weights_enum(name)
    return None if enum is None else enum["DEFAULT"]


def find_weights(name: str, weights: str | None) -> WeightsEnum | None:
    """The weights called ``weights``, such as ``IMAGENET1K_V1``; None for None and "none".

    Raises:
        OrxeError: the model has no such weights.
    """
    if weights is None or str(weights).lower() == "none":
        return None
    enum = weights_enum(name)
    if enum is None:
        raise OrxeError(f"torchvision:{name} comes without weights: give weights=none")
    value = str(weights).removeprefix(f"{enum.__name__}.")
    if value not in enum.__members__:
        raise unknown(f"weights of torchvision:{name}", str(weights), enum.__members__)
    return enum[value]


def create_model(name: str, weights: WeightsEnum | None, kwargs: dict[str, Any]) -> nn.Module:
    """The model, downloading its weights where they are asked for.

    Raises:
        OrxeError: an option does not fit, or the weights cannot be had.
    """
    try:
        return get_model(name, weights=weights, **kwargs)
    except (TypeError, ValueError) as error:
        raise OrxeError(f"torchvision does not take the options {kwargs} for {name!r}: {error}") from error
    except OSError as error:
        raise OrxeError(
            f"the weights {weights} of expert 'torchvision:{name}' cannot be had: {error}. "
            "Give checkpoint=FILE, or weights=none for random ones."
        ) from error
