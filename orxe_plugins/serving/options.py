"""ServeOptions: how a cascade is served."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.selection import Selection
from orxe_plugins.util.arguments import check_count

#: file among the counters that says why a worker could not load the cascade
TROUBLE = "trouble.txt"


@dataclass(frozen=True)
class Limits:
    """What a request may hold; more is refused before it is decoded.

    Attributes:
        max_bytes: of one image file.
        max_pixels: of one image, as its header says.
        max_images: of one request.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 50_000_000
    max_images: int = 64

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_images"):
            check_count(name, getattr(self, name), 1)

    @property
    def max_payload(self) -> int:
        """Bytes of a whole request: its images in base64, and a little more for the JSON around them."""
        return (self.max_bytes * 4 // 3 + 100) * self.max_images + 10_000


@dataclass(frozen=True)
class ServeOptions:
    """How a cascade is served.

    Attributes:
        asked: which policy is wanted.
        budget: mean cost per image that a :class:`~orxe_plugins.BudgetGuard` keeps; None for no guard.
        window: over how many images in a row.
        batch_size: requests that are answered together, at most.
        max_wait: seconds that a request waits for others to be answered with.
        timeout: seconds within which a batch is answered: images that an expert hangs on get an earlier answer, and
            requests that waited so long in the queue an error.
        device: "cpu", "cuda", or "auto" for what is there.
        workers: processes with the cascade, each with experts of its own; each device has so many.
        limits: what a request may hold.
        trust: whether what the cascade's file names may run code and be fetched.
        plugin: a Python file that registers the cascade's task.
    """

    asked: Selection = field(default_factory=lambda: Selection(0.5))
    budget: float | None = None
    window: int = 1000
    batch_size: int = 64
    max_wait: float = 0.005
    timeout: float = 30.0
    device: str = "auto"
    workers: int = 1
    limits: Limits = Limits()
    trust: bool = False
    plugin: Path | None = None

    def __post_init__(self) -> None:
        for name in ("window", "batch_size", "workers"):
            check_count(name, getattr(self, name), 1)
        if not 0 <= self.max_wait < self.timeout:
            raise OrxeError(f"max_wait is {self.max_wait:g} seconds: expected 0 or more, and less than timeout")
