"""What a confidence provider is, and how it is named in files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from orxe_plugins.confidence.names import BUILT_IN
from orxe_plugins.errors import OrxeError, unknown
from orxe_plugins.util.registry import Registry


class ConfidenceProvider(nn.Module):
    """Turns an expert's outputs into one confidence per sample.

    A subclass implements :meth:`forward` and is registered under a name by
    :func:`register_confidence`; recipes and ``cascade.json`` call it by that name. It is a module,
    so that a trained one moves between devices with its expert.
    """

    kind: ClassVar[str]
    #: whether :meth:`forward` wants the expert's pooled features (B, F) as a second argument
    needs_features: ClassVar[bool] = False
    #: boxes up to this score change nothing, so that detectors need not find them for the confidence's sake
    ignores_up_to: float = 0.0

    def forward(self, outputs: Any, features: Tensor | None = None) -> Tensor:
        """Confidence of each sample, float32 of shape (B,), in [0, 1]."""
        raise NotImplementedError

    @property
    def gmacs(self) -> float:
        """What it costs per sample, beside the expert itself."""
        return 0.0

    def options(self) -> dict[str, Any]:
        """Constructor arguments that are not at their defaults, as JSON values."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Name and options, as JSON values."""
        return {"kind": self.kind, **self.options()}


_PROVIDERS: Registry[ConfidenceProvider] = Registry("confidence", BUILT_IN)


def register_confidence(kind: str) -> Callable[[type[ConfidenceProvider]], type[ConfidenceProvider]]:
    """Class decorator: offer a provider under the name ``kind``.

    Raises:
        ValueError: another provider has that name.
    """

    def register(cls: type[ConfidenceProvider]) -> type[ConfidenceProvider]:
        _PROVIDERS.register(kind)(cls)
        cls.kind = kind
        return cls

    return register


def confidence_names() -> tuple[str, ...]:
    """The kinds of confidence that are built in or registered."""
    return _PROVIDERS.names()


def confidence_from_dict(data: Mapping[str, Any] | str) -> ConfidenceProvider:
    """The provider that ``data`` names: its kind alone, or a mapping of kind and options.

    Raises:
        OrxeError: no provider has that kind, or its options are not those that it takes.
    """
    options = {"kind": data} if isinstance(data, str) else dict(data)
    kind = options.pop("kind", "max_softmax")
    provider = _PROVIDERS.find(kind)
    if provider is None:
        raise unknown("confidence", kind, confidence_names())
    try:
        inspect.signature(provider).bind(**options)
    except TypeError as error:
        fitted = "missing" in str(error)
        way_out = ". Such a confidence is fitted on records, as `confidence: auto` in a recipe does" if fitted else ""
        raise OrxeError(f"confidence {kind!r}: {error}{way_out}") from error
    return provider(**options)
