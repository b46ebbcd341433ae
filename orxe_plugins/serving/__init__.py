"""Serving: a cascade behind HTTP, on engines that exist (LitServe, Ray Serve), and experts that live elsewhere."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.serving.answering import Answering
    from orxe_plugins.serving.options import ServeOptions
    from orxe_plugins.serving.server import make_server, serve, serve_on_ray
else:
    _PLACES = {
        "Answering": "orxe_plugins.serving.answering",
        "ServeOptions": "orxe_plugins.serving.options",
        "make_server": "orxe_plugins.serving.server",
        "serve": "orxe_plugins.serving.server",
        "serve_on_ray": "orxe_plugins.serving.server",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Answering",
    "ServeOptions",
    "make_server",
    "serve",
    "serve_on_ray",
]
