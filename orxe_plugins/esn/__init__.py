"""Exit Sequence Network: exits inside of a base model that build on a saver's answer (TinySaver, section 3.4)."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.esn.backbone import Backbone
    from orxe_plugins.esn.experts import EndExpert, ExitExpert, OnBackbone
    from orxe_plugins.esn.files import TrainedExits, load_exits, save_exits
    from orxe_plugins.esn.fit import ExitSettings, train_exits
    from orxe_plugins.esn.loss import exit_loss
    from orxe_plugins.esn.make import make_exits
    from orxe_plugins.esn.network import ExitNetwork, NetworkShape
else:
    _PLACES = {
        "Backbone": "orxe_plugins.esn.backbone",
        "EndExpert": "orxe_plugins.esn.experts",
        "ExitExpert": "orxe_plugins.esn.experts",
        "ExitNetwork": "orxe_plugins.esn.network",
        "ExitSettings": "orxe_plugins.esn.fit",
        "NetworkShape": "orxe_plugins.esn.network",
        "OnBackbone": "orxe_plugins.esn.experts",
        "TrainedExits": "orxe_plugins.esn.files",
        "exit_loss": "orxe_plugins.esn.loss",
        "load_exits": "orxe_plugins.esn.files",
        "make_exits": "orxe_plugins.esn.make",
        "save_exits": "orxe_plugins.esn.files",
        "train_exits": "orxe_plugins.esn.fit",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

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
