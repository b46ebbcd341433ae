"""An expert that could not be loaded: it holds its place in a cascade, and answers nothing."""

from __future__ import annotations

from typing import Any

from torch import nn

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert


class AbsentExpert(Expert):
    """Stands where an expert should. It costs nothing, and samples that reach it go on to the next one.

    Args:
        name: the expert's.
        reason: why it could not be loaded.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, nn.Identity(), cost=0.0)
        self.reason = reason

    @property
    def error(self) -> OrxeError:
        """What is said where an answer of it is asked for."""
        return OrxeError(f"expert {self.name!r} could not be loaded: {self.reason}")

    def forward(self, batch: Any) -> Any:
        raise self.error
