"""Ranking gate: a trained confidence for experts that have none of their own (ORXE supplement, section F)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, dropout, gelu, linear

from orxe_plugins.confidence.provider import ConfidenceProvider, register_confidence
from orxe_plugins.confidence.summary import summary_named
from orxe_plugins.errors import OrxeError
from orxe_plugins.util.files import regular, write_atomically
from orxe_plugins.util.json_files import WRONG_VALUES

#: the one entry of a file's metadata: safetensors writes several in any order
_ABOUT = "gate"


class GateNet(nn.Module):
    """Features and output summary to one logit: standardise, one hidden layer.

    Beside a small expert every operation of a gate counts, so that there are few of them.

    Args:
        inputs: width D of features and summary together.
        hidden: width of the hidden layer.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(inputs))
        self.register_buffer("shift", torch.zeros(inputs))
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, 1)

    def standardise_as(self, inputs: Tensor) -> None:
        """Bring inputs like these (M, D) to mean 0 and spread 1 from now on; an input that never changes becomes 0."""
        mean, spread = inputs.mean(0), inputs.std(0)
        changes = spread > 1e-6 * (1 + mean.abs())
        self.scale.copy_(torch.where(changes, 1 / spread, 0))
        self.shift.copy_(-mean * self.scale)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B,) of inputs (B, D)."""
        standard = torch.addcmul(self.shift, inputs, self.scale).clamp_(-10, 10)
        seen = gelu(linear(standard, self.hidden.weight, self.hidden.bias), approximate="tanh")
        if self.training:
            seen = dropout(seen, 0.1)
        return linear(seen, self.out.weight, self.out.bias).squeeze(1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample."""
        return self.hidden.in_features * self.hidden.out_features + self.out.in_features


@register_confidence("ranking_gate")
class RankingGate(ConfidenceProvider):
    """Sigmoid of a small network over the expert's pooled features and its output (Eq. 20).

    Args:
        file: what :meth:`save` wrote.

    Attributes:
        net: the network.
        summary: what the gate sees of the output, see :mod:`orxe_plugins.confidence.summary`.
    """

    needs_features: ClassVar[bool] = True

    def __init__(self, file: str | Path) -> None:
        super().__init__()
        self.file = str(file)
        try:
            with safe_open(regular(Path(self.file)), "pt") as content:
                about = json.loads((content.metadata() or {})[_ABOUT])
                weights = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
            self.summary = about["summary"]
            # A file could say sizes that no memory holds: they have to be those of its weights.
            hidden, inputs = weights["hidden.weight"].shape
            if [about["inputs"], about["hidden"]] != [inputs, hidden]:
                raise ValueError(f"it says {about['inputs']} inputs, but its weights are for {inputs}")
            self.net = GateNet(inputs, hidden)
            self.net.load_state_dict(weights)
        except OrxeError:
            raise
        except (OSError, SafetensorError, *WRONG_VALUES, RuntimeError) as error:
            raise OrxeError(
                f"ranking gate {self.file!r} cannot be read: {error}. Train it by `orxe train-gate RECIPE`"
            ) from error
        summary_named(self.summary)  # raises now rather than at the first image
        self.requires_grad_(False).eval()

    def options(self) -> dict[str, Any]:
        return {"file": self.file}

    @property
    def gmacs(self) -> float:
        return self.net.macs / 1e9

    def forward(self, outputs: Any, features: Tensor | None = None) -> Tensor:
        """Confidence (B,) of B outputs, given the expert's pooled features (B, F)."""
        if features is None:
            raise OrxeError("a ranking gate needs the expert's features: run it through Expert.run")
        return self.confidence(gate_inputs(outputs, features, self.summary))

    def confidence(self, inputs: Tensor) -> Tensor:
        """Confidence (B,) of inputs (B, D), as :func:`gate_inputs` makes and records keep them."""
        width = self.net.hidden.in_features
        if inputs.shape[1] != width:
            raise OrxeError(f"ranking gate {self.file!r} takes {width} inputs, but this expert gives {inputs.shape[1]}")
        return self.net(inputs.to(self.net.shift.device)).sigmoid()


def save_gate(net: GateNet, summary: str, file: Path) -> None:
    """Write a trained gate, in place by one rename; the same gate gives the same bytes."""
    about = {"inputs": net.hidden.in_features, "hidden": net.hidden.out_features, "summary": summary}
    weights = {key: value.contiguous() for key, value in net.state_dict().items()}
    write_atomically(file, lambda temporary: save_file(weights, temporary, metadata={_ABOUT: json.dumps(about)}))


def gate_inputs(outputs: Any, features: Tensor, summary: str) -> Tensor:
    """What a gate sees of B samples: pooled features (B, F) and the summary of the outputs, float32 (B, D)."""
    seen = summary_named(summary)(outputs)
    return torch.cat([features, seen.to(features.device)], dim=1)


def ranking_loss(logits: Tensor, metric: Tensor) -> Tensor:
    """Mean binary cross entropy over all pairs of a batch (Eq. 18 and 19).

    The paper's sum begins at j = i; a sample beside itself only adds a constant and is left out.

    Args:
        logits: of the gate, (B,).
        metric: how good the expert's answer is, (B,), higher is better; ties count one half.
    """
    i, j = torch.triu_indices(len(logits), len(logits), offset=1)
    target = (torch.sign(metric[i] - metric[j]) + 1) / 2
    return binary_cross_entropy_with_logits(logits[i] - logits[j], target.to(logits.dtype))
