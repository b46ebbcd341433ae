"""Exit Sequence Network: exits inside of a base model that build on a saver's answer (TinySaver, section 3.4)."""

from orxe_plugins.esn.backbone import Backbone
from orxe_plugins.esn.experts import EndExpert, ExitExpert, OnBackbone
from orxe_plugins.esn.files import TrainedExits, load_exits, save_exits
from orxe_plugins.esn.fit import ExitSettings, train_exits
from orxe_plugins.esn.loss import exit_loss
from orxe_plugins.esn.make import make_exits
from orxe_plugins.esn.network import ExitNetwork, NetworkShape

__all__ = [
    "Backbone",
    "EndExpert",
    "ExitExpert",
    "ExitNetwork",
    "ExitSettings",
    "NetworkShape",
    "OnBackbone",
    "TrainedExits",
    "exit_loss",
    "load_exits",
    "make_exits",
    "save_exits",
    "train_exits",
]
