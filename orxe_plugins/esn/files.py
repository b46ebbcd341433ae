"""Trained exits on disk: one safetensors file, which says what it is made of and which models it belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from orxe_plugins.errors import OrxeError
from orxe_plugins.esn.network import ExitNetwork, NetworkShape
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.fingerprint import weights_fingerprint
from orxe_plugins.util.files import regular, write_atomically
from orxe_plugins.util.json_files import WRONG_VALUES

_ABOUT = "exits"


@dataclass(frozen=True)
class TrainedExits:
    """What a file of exits holds.

    Attributes:
        network: the network.
        base: fingerprint of the weights of the model that the exits lie in.
        saver: that of the saver they build on; None for plain attached exits.
        file: where it came from.
    """

    network: ExitNetwork
    base: str
    saver: str | None
    file: str = ""

    def check_base(self, module: nn.Module) -> None:
        """Raise unless ``module`` has the weights that the exits were trained in."""
        if model_fingerprint(module) != self.base:
            raise OrxeError(f"the exits {self.file!r} were trained in a base with other weights: {_WAY_OUT}")

    def check_saver(self, saver: Expert) -> None:
        """Raise unless ``saver`` has the weights that the exits were trained behind."""
        if model_fingerprint(saver.module) != self.saver:
            raise OrxeError(
                f"the exits {self.file!r} were trained behind a saver with other weights than {saver.name!r} has: "
                f"{_WAY_OUT}"
            )


_WAY_OUT = "name the models that they belong to, or train exits for these"


def model_fingerprint(module: nn.Module) -> str:
    """Fingerprint of a model's weights."""
    return weights_fingerprint(module.state_dict())


def save_exits(exits: TrainedExits, file: Path) -> None:
    """Write exits, in place by one rename."""
    about = {"shape": exits.network.shape.to_dict(), "base": exits.base, "saver": exits.saver}
    weights = {key: value.contiguous() for key, value in exits.network.state_dict().items()}
    write_atomically(file, lambda temporary: save_file(weights, temporary, metadata={_ABOUT: json.dumps(about)}))


def load_exits(file: str | Path) -> TrainedExits:
    """Read exits.

    Raises:
        OrxeError: the file is not there, or holds no exits.
    """
    try:
        with safe_open(str(regular(Path(file))), "pt") as content:
            about = json.loads((content.metadata() or {})[_ABOUT])
            weights = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
        shape = NetworkShape.from_dict(about["shape"])
        # A file could say sizes that no memory holds: they have to be those of its weights.
        with torch.device("meta"):
            wanted = ExitNetwork(shape).state_dict()
        if {key: value.shape for key, value in wanted.items()} != {key: value.shape for key, value in weights.items()}:
            raise ValueError("its weights are not those of the network that it describes")
        network = ExitNetwork(shape)
        network.load_state_dict(weights)
        base, saver = about["base"], about["saver"]
    except (OSError, SafetensorError, *WRONG_VALUES, RuntimeError) as error:
        raise OrxeError(
            f"exits {str(file)!r} cannot be read: {error}. Train them by orxe_plugins.esn.train_exits"
        ) from error
    return TrainedExits(network.eval(), base, saver, str(file))
