"""The command ``serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orxe_plugins.cli import console
from orxe_plugins.cli.options import TrustOption


def serve(
    cascade: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or of its cascade.")],
    host: Annotated[
        str, typer.Option(help="127.0.0.1 for this machine alone, 0.0.0.0 for the network; there is no login.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.")] = 8000,
    preference: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="0: cheap, 1: accurate.")] = None,
    budget: Annotated[float | None, typer.Option(help="Take the best policy of at most this mean cost.")] = None,
    max_drop: Annotated[float | None, typer.Option(help="Score that may be lost to the last expert.")] = None,
    guard: Annotated[
        float | None, typer.Option(help="Mean cost per image that is kept, however hard the images get.")
    ] = None,
    window: Annotated[int, typer.Option(min=1, help="With --guard: over how many images in a row.")] = 1000,
    batch_size: Annotated[int, typer.Option(min=1, help="Requests that are answered at once.")] = 64,
    max_wait: Annotated[float, typer.Option(min=0.0, help="Seconds to wait for requests to answer together.")] = 0.005,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to answer in; images that an expert hangs on get an earlier answer.")
    ] = 30.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes with the cascade, on each device.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto for what is there.")] = "auto",
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse images of more pixels.")] = 50_000_000,
    plugin: Annotated[
        Path | None, typer.Option(help="Python file that registers the cascade's task, as the recipe names it.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="litserve, or ray for Ray Serve with a deployment per expert.")
    ] = "litserve",
    trust: TrustOption = False,
) -> None:
    """Serve a cascade over HTTP, by LitServe.

    It answers POST /predict, and GET /health and /metrics.

    Needs pip install "orxe-plugins[serve]", and "orxe-plugins[ray]" for --engine ray.

    Example: orxe serve runs/digits --port 8000
    """
    from orxe_plugins.errors import unknown
    from orxe_plugins.policies.selection import Selection
    from orxe_plugins.serving.options import Limits, ServeOptions
    from orxe_plugins.serving.server import serve as serve_here
    from orxe_plugins.serving.server import serve_on_ray

    if engine not in ("litserve", "ray"):
        raise unknown("engine", engine, ("litserve", "ray"))
    if preference is None and budget is None and max_drop is None:
        preference = 0.5
    options = ServeOptions(
        Selection(preference, budget, max_drop=max_drop), guard, window, batch_size, max_wait,
        timeout, device=device, workers=workers, limits=Limits(max_pixels=max_pixels), trust=trust, plugin=plugin,
    )  # fmt: skip
    console.say(f"serving {cascade} at http://{host}:{port}: POST /predict; end it with Ctrl+C")
    {"litserve": serve_here, "ray": serve_on_ray}[engine](cascade, options, host=host, port=port)
