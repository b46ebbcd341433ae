"""The server: a cascade's folder behind HTTP, by LitServe."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from orxe_plugins.errors import OrxeError
from orxe_plugins.serving.loading import check_served
from orxe_plugins.serving.metrics import prometheus
from orxe_plugins.serving.options import TROUBLE, ServeOptions

if TYPE_CHECKING:
    import litserve


def make_server(folder: str | Path, options: ServeOptions | None = None) -> litserve.LitServer:
    """A LitServe server of a cascade's folder; ``server.run(port=...)`` starts it.

    ``POST /predict`` answers images, ``POST /v2/models/cascade/infer`` tensors by KServe's protocol v2, ``GET /health``
    says whether the experts are loaded, ``GET /info`` what is served, and ``GET /metrics`` what was counted.

    Args:
        folder: of a cascade, or of the run that made it.
        options: how to serve; the defaults of :class:`ServeOptions` where it is None.

    Raises:
        OrxeError: there is no such cascade or policy, or LitServe is not installed.
    """
    options = options or ServeOptions()
    file = check_served(Path(folder), options)
    try:
        from orxe_plugins.serving import engine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("litserve", "fastapi"):
            raise
        raise OrxeError(
            'serving needs litserve, which is not installed. Install it with\npip install "orxe-plugins[serve]"'
        ) from error
    prometheus()
    counted = engine.counting_folder()
    # Workers are processes of their own: they count into files of this folder, which /metrics adds up.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counted)
    return engine.build(Path(folder), file, options, counted)


def serve(
    folder: str | Path, options: ServeOptions | None = None, *, host: str = "127.0.0.1", port: int = 8000
) -> None:
    """Serve a cascade's folder until the process is stopped; see :func:`make_server`.

    Args:
        folder: of a cascade, or of the run that made it.
        options: how to serve.
        host: "127.0.0.1" for this machine alone, "0.0.0.0" for the network; there is no login.
        port: 1024 to 65535.

    Raises:
        OrxeError: as :func:`make_server` raises, or the address cannot be used.
    """
    server = make_server(folder, options)
    _end_on_signals()
    try:
        server.run(host=host, port=port, generate_client_file=False, log_level="warning", num_api_servers=1)
    except (ValueError, OSError) as error:
        raise OrxeError(f"{host}:{port} cannot be served at: {error}") from error
    except RuntimeError as error:
        trouble = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), TROUBLE)
        if not trouble.is_file():
            raise
        raise OrxeError(f"{folder} cannot be served: {trouble.read_text(encoding='utf-8')}") from error
    finally:
        shutil.rmtree(os.environ.pop("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)


def _end_on_signals() -> None:
    """End as by Ctrl+C also where a shell lets what runs in its background ignore that, and on SIGTERM.

    LitServe's web server is a fork of this process: it ends without a traceback.
    """
    owner = os.getpid()

    def end(*_: object) -> None:
        raise KeyboardInterrupt if os.getpid() == owner else SystemExit(0)

    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, end)


def serve_on_ray(
    folder: str | Path, options: ServeOptions | None = None, *, host: str = "127.0.0.1", port: int = 8000
) -> None:
    """Serve a cascade's folder by Ray Serve until the process is stopped: each expert is a deployment of its own.

    Args:
        folder: of a cascade, or of the run that made it.
        options: how to serve.
        host: see :func:`serve`.
        port: likewise.

    Raises:
        OrxeError: there is no such cascade or policy, it cannot be taken apart, or Ray is not installed.
    """
    try:
        import ray
        from ray import serve as ray_serve
    except ImportError as error:
        raise OrxeError(
            'engine ray needs ray, which is not installed. Install it with\npip install "orxe-plugins[ray]"'
        ) from error
    from orxe_plugins.serving.ray_app import cascade_app

    application = cascade_app(folder, options)
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    ray_serve.start(http_options={"host": host, "port": port})
    try:
        ray_serve.run(application, blocking=True)
    finally:
        ray_serve.shutdown()
