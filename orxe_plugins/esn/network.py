"""The Exit Sequence Network: exits of one backbone that build on a saver's answer (TinySaver, sections 3.4 and 6.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.errors import OrxeError, shortened

#: sizes of a network beyond which nobody trains one
_LARGEST = 2**20


@dataclass(frozen=True)
class NetworkShape:
    """What an :class:`ExitNetwork` is made of.

    Attributes:
        stages: the E stages of the backbone that have an exit, rising.
        widths: number of channels after each of them.
        num_classes: number of classes C.
        saver_width: number of the saver's features; None makes plain attached exits.
        dim: width of the tokens.
        layers: number of attention layers; 0 lets every exit see its own stage alone.
        heads: number of attention heads.
    """

    stages: tuple[int, ...]
    widths: tuple[int, ...]
    num_classes: int
    saver_width: int | None = None
    dim: int = 32
    layers: int = 1
    heads: int = 8

    def __post_init__(self) -> None:
        sizes = (*self.stages, *self.widths, self.num_classes, self.saver_width or 1, self.dim, self.layers, self.heads)
        if not all(isinstance(size, int) and size <= _LARGEST for size in sizes) or self.layers > 100:
            raise OrxeError(f"an exit network of {shortened(self)}: expected whole numbers of at most {_LARGEST:,}")
        if not self.stages or list(self.stages) != sorted(set(self.stages)) or self.stages[0] < 0:
            raise OrxeError(f"stages is {list(self.stages)}: expected rising numbers of stages, such as [1, 2, 3]")
        if len(self.widths) != len(self.stages):
            raise OrxeError(f"{len(self.widths)} widths for {len(self.stages)} stages: expected one of each")
        if self.layers < 0 or self.dim < 1 or self.heads < 1 or self.dim % self.heads:
            raise OrxeError(
                f"dim {self.dim}, layers {self.layers}, heads {self.heads}: expected layers of at least 0 and "
                "a dim that the number of heads divides"
            )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkShape:
        """The inverse of :meth:`to_dict`."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)


class ExitNetwork(nn.Module):
    """Embeddings of pooled features, a causal feature bus, and one head for each exit.

    The tokens are the saver's features and then those of one stage after the other; no token sees
    a later one. An exit's logits are the saver's plus what its head makes of its token. Heads start
    at zero, so that an untrained exit answers as the saver does.

    Args:
        shape: stages, widths and sizes.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        widths = [*([] if shape.saver_width is None else [shape.saver_width]), *shape.widths]
        self.embeddings = nn.ModuleList(nn.Linear(width, shape.dim) for width in widths)
        self.bus = nn.ModuleList(CausalLayer(shape.dim, shape.heads) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.dim)
        self.heads = nn.ModuleList(nn.Linear(shape.dim, shape.num_classes) for _ in shape.stages)
        for head in self.heads:
            assert isinstance(head, nn.Linear)
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, features: Sequence[Tensor], saver_logits: Tensor | None = None) -> Tensor:
        """Logits of all exits, (B, E, C).

        Args:
            features: pooled features (B, F) of the saver, where there is one, and of the E stages.
            saver_logits: the saver's logits (B, C), where there is one.
        """
        tokens = self._tokens(features)  # (B, T, D)
        for layer in self.bus:
            tokens = layer(tokens)
        tokens = self.norm(tokens)[:, -len(self.heads) :]
        change = torch.stack([head(tokens[:, i]) for i, head in enumerate(self.heads)], dim=1)  # (B, E, C)
        return change if saver_logits is None else change + saver_logits[:, None]

    def answer(self, features: Sequence[Tensor], saver_logits: Tensor | None = None) -> Tensor:
        """Logits of one exit alone, (B, C): that of the last stage whose features are given.

        Args:
            features: as in :meth:`forward`, up to the exit.
            saver_logits: likewise.
        """
        exit_index = len(features) - 1 - (self.shape.saver_width is not None)
        if self.bus:
            tokens = self._tokens(features)
            for layer in self.bus[:-1]:
                tokens = layer(tokens)
            token = self.bus[-1](tokens, last_only=True)[:, -1]  # (B, D)
        else:
            token = self.embeddings[len(features) - 1](features[-1])
        change = self.heads[exit_index](self.norm(token))
        return change if saver_logits is None else change + saver_logits

    def _tokens(self, features: Sequence[Tensor]) -> Tensor:
        """(B, T, D) out of T tensors (B, F)."""
        # Each place in the sequence has an embedding of its own, whose bias says which place it is.
        return torch.stack([self.embeddings[i](part) for i, part in enumerate(features)], dim=1)


class CausalLayer(nn.Module):
    """Multi-head attention in which no token sees a later one, and an MLP, both with a residual.

    Written out in matrix products: counters of operations see every one of them, which they do not
    inside of torch's fused attention.

    Args:
        dim: width of the tokens.
        heads: number of attention heads; it divides ``dim``.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.n_heads = heads
        self.norm_attention = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: Tensor, last_only: bool = False) -> Tensor:
        """(B, T, D) -> (B, T, D); with ``last_only`` the last token alone, (B, 1, D)."""
        seen = self.norm_attention(tokens)
        asking = seen[:, -1:] if last_only else seen
        query = self._split(self.query(asking))  # (B, H, Q, D / H)
        key, value = (self._split(part) for part in self.key_value(seen).chunk(2, dim=-1))  # (B, H, T, D / H)
        weights = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # (B, H, Q, T)
        if not last_only:
            later = torch.ones(weights.shape[-2:], dtype=torch.bool, device=weights.device).triu(1)
            weights = weights.masked_fill(later, float("-inf"))
        mixed = (weights.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)  # (B, Q, D)
        tokens = (tokens[:, -1:] if last_only else tokens) + self.out(mixed)
        return tokens + self.mlp(self.norm_mlp(tokens))

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D / H)"""
        return tokens.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
