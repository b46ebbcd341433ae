"""What optimizing a cascade did to each of its experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orxe_plugins.util.wording import plain


@dataclass(frozen=True)
class OptimizedExpert:
    """How an expert runs from now on.

    Attributes:
        name: the expert.
        ways: the way that was the fastest at each batch size.
        ms: milliseconds of a batch of each size, that way.
        eager_ms: milliseconds as it ran before.
        reason: why it runs as before; empty where it does not.
    """

    name: str
    ways: Mapping[int, str]
    ms: Mapping[int, float]
    eager_ms: Mapping[int, float]
    reason: str = ""


@dataclass(frozen=True)
class OptimizeReport:
    """What :meth:`orxe_plugins.Cascade.optimize` did.

    Attributes:
        device: where the experts run.
        backend: what was asked for.
        experts: one entry for each expert that a policy uses.
        on_host: experts that no policy uses; they stay in the host's memory until one does.
        seconds: how long it took.
        memory: bytes on the device that it took, graphs and copies of weights together; 0 on a CPU, where copies are
            told by ``copies`` alone.
        copies: bytes of copied weights.
        threads: by numbers of torch's threads that were tried, milliseconds of all experts at all sizes together; the
            number with the fewest is set from then on.
    """

    device: str
    backend: str
    experts: tuple[OptimizedExpert, ...]
    on_host: tuple[str, ...]
    seconds: float
    memory: int
    copies: int
    threads: Mapping[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{self.backend} on {self.device}: {self.seconds:.1f} s, {self.memory / 2**20:.0f} MiB of the device, "
            f"{self.copies / 2**20:.0f} MiB of copied weights"
        ]
        for one in self.experts:
            if one.reason:
                lines.append(f"  {one.name}: as before, {one.reason}")
            for size, way in one.ways.items():
                lines.append(
                    f"  {one.name}, batch {size}: {way}, {plain(one.ms[size], 3)} ms; "
                    f"{plain(one.eager_ms[size], 3)} ms before"
                )
        if self.threads:
            tried = ", ".join(f"{count} ({plain(ms, 3)} ms)" for count, ms in self.threads.items())
            lines.append(f"  threads tried: {tried}; from now on {min(self.threads, key=self.threads.__getitem__)}")
        if self.on_host:
            lines.append(f"  on the host, as no policy uses them: {', '.join(self.on_host)}")
        return "\n".join(lines)
