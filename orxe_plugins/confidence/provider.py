"""What a confidence provider is, and how it is named in files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from orxe_plugins.errors import unknown

_PROVIDERS: dict[str, type[ConfidenceProvider]] = {}


class ConfidenceProvider(nn.Module):
    """Turns an expert's outputs into one confidence per sample.

    A subclass implements :meth:`forward` and is registered under a name by
    :func:`register_confidence`; recipes and ``cascade.json`` call it by that name. It is a module,
    so that a trained one moves between devices with its expert.
    """

    kind: ClassVar[str]
    #: whether :meth:`forward` wants the expert's pooled features (B, F) as a second argument
    needs_features: ClassVar[bool] = False

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


def register_confidence(kind: str) -> Callable[[type[ConfidenceProvider]], type[ConfidenceProvider]]:
    """Class decorator: offer a provider under the name ``kind``."""

    def register(cls: type[ConfidenceProvider]) -> type[ConfidenceProvider]:
        if kind in _PROVIDERS:
            raise ValueError(f"confidence {kind!r} is registered twice: {_PROVIDERS[kind]} and {cls}")
        cls.kind = kind
        _PROVIDERS[kind] = cls
        return cls

    return register


def confidence_names() -> tuple[str, ...]:
    """The kinds of confidence that are registered."""
    return tuple(sorted(_PROVIDERS))


def confidence_from_dict(data: dict[str, Any] | str) -> ConfidenceProvider:
    """The provider that ``data`` names: its kind alone, or a mapping of kind and options."""
    options = {"kind": data} if isinstance(data, str) else dict(data)
    kind = options.pop("kind", "max_softmax")
    if kind not in _PROVIDERS:
        raise unknown("confidence", kind, _PROVIDERS)
    return _PROVIDERS[kind](**options)
