"""Made-up experts and samples for tests of routes and streams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, Policy
from orxe_plugins.data.views import ImageView
from orxe_plugins.esn import EndExpert, ExitExpert, ExitNetwork, NetworkShape


class Picked(nn.Module):
    """One expert's logits for each sample, which the batch holds; notes how many samples it was handed."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place
        self.sizes: list[int] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.sizes.append(len(batch))
        return batch[:, self.place]


def picking(n: int, policy: Policy, *modules: nn.Module) -> Cascade:
    """A cascade of experts that read their logits out of the batch, or of other modules."""
    parts = modules or tuple(Picked(i) for i in range(n))
    return Cascade([Expert(f"e{i}", part, cost=2.0**i, shared_cost=0.25 * i) for i, part in enumerate(parts)], policy)


def logits(m: int, n: int, seed: int = 0, scale: float = 2.0) -> Tensor:
    """Logits of three classes for M samples and N experts, (M, N, 3)."""
    return torch.randn((m, n, 3), generator=torch.Generator().manual_seed(seed)) * scale


def same(answer: Any, other: Any) -> bool:
    """Whether two answers hold the same, NaN included."""
    if isinstance(answer, Tensor):
        return torch.equal(answer.nan_to_num(), other.nan_to_num())
    if isinstance(answer, dict):
        return answer.keys() == other.keys() and all(same(answer[key], other[key]) for key in answer)
    return bool(answer == other)


class Stages:
    """A backbone of three linear stages."""

    def __init__(self) -> None:
        self.model = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)])
        self.names, self.widths, self.shapes = ("a", "b", "c"), (8, 8, 8), ((8,), (8,), (8,))

    def stage(self, index: int, values: Tensor) -> Tensor:
        return self.model[index](values.flatten(1)[:, :8] if index == 0 else values).relu()

    def pool(self, index: int, values: Tensor) -> Tensor:
        return values

    def head(self, values: Tensor) -> Tensor:
        return 4 * self.model[3](values)


def exits_of(backbone: Stages, **options: Any) -> list[Expert]:
    shape = NetworkShape((0, 1), (8, 8), 4, saver_width=None)
    view = ImageView((2, 2), 2)
    common: dict[str, Any] = {"key": "base", "view": view, "num_classes": 4, **options}
    network = ExitNetwork(shape)
    for head in network.heads:
        nn.init.normal_(head.weight, std=0.3)
    ends = [ExitExpert(f"exit-{s}", backbone, network, stage=s, **common) for s in shape.stages]  # type: ignore[arg-type]
    return [*ends, EndExpert("end", backbone, **common)]  # type: ignore[arg-type]
