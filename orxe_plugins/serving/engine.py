"""The cascade on LitServe. Import it only where LitServe is installed: :func:`orxe_plugins.serving.make_server`."""

# Annotations have to be classes here, not text: LitServe and FastAPI read them.
import asyncio
import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import litserve
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from litserve.server import RegularRequestHandler

from orxe_plugins.cascade.faults import in_words
from orxe_plugins.cascade.file import CascadeFile
from orxe_plugins.errors import OrxeError
from orxe_plugins.serving.answering import Answering
from orxe_plugins.serving.desk import Desk
from orxe_plugins.serving.loading import load_served
from orxe_plugins.serving.loop import DeskLoop
from orxe_plugins.serving.metrics import Counts, exposition
from orxe_plugins.serving.options import TROUBLE, ServeOptions
from orxe_plugins.serving.requests import Ask, Infer, Reply


class CascadeAPI(litserve.LitAPI):
    """What each of LitServe's workers has: the cascade, and the desk that answers requests with it.

    Args:
        folder: the cascade's.
        options: how to serve it.
        trouble: file that says why a worker could not load it.
    """

    def __init__(self, folder: Path, options: ServeOptions, trouble: Path) -> None:
        super().__init__(options.batch_size, options.max_wait, loop=DeskLoop())
        self._folder, self._options, self._trouble = folder, options, trouble

    def setup(self, device: str) -> None:
        """Load the cascade, in the worker's own process."""
        try:
            answering = Answering.of(load_served(self._folder, self._options, device), self._options.timeout)
        except Exception as error:
            if isinstance(error, OrxeError):
                logging.disable(logging.ERROR)  # LitServe would print a traceback; this process ends now
            self._trouble.write_text(str(error) if isinstance(error, OrxeError) else in_words(error), encoding="utf-8")
            raise
        counts = Counts(answering.cascade)
        self._desk = Desk(answering, self._options.limits, counts, self._options.batch_size)

    def take(self, requests: Sequence[Ask | Infer], give: Callable[[int, Reply], None]) -> None:
        """Answer requests; see :meth:`orxe_plugins.serving.desk.Desk.take`."""
        self._desk.take(requests, give)

    def predict(self, requests: Any) -> Any:
        """LitServe asks for this method; the loop calls :meth:`take`."""
        return self._desk.answer(requests)

    def encode_response(self, output: Reply) -> Response:
        """The reply as JSON."""
        try:
            return JSONResponse(output.content, output.status)
        except ValueError as error:  # JSON has no NaN; one answer that holds it must not cost the others theirs
            return JSONResponse({"error": f"the answer holds values that JSON has not: {error}"}, 500)


def build(folder: Path, file: CascadeFile, options: ServeOptions, counted: Path) -> litserve.LitServer:
    """A LitServe server of a cascade, with all its routes; see :func:`orxe_plugins.serving.make_server`.

    Args:
        folder: the cascade's.
        file: what it says.
        options: how to serve it.
        counted: folder that the workers count into.
    """
    api = CascadeAPI(folder, options, counted / TROUBLE)
    server = litserve.LitServer(
        api,
        accelerator=options.device.partition(":")[0],
        workers_per_device=options.workers,
        timeout=options.timeout,
        max_payload_size=options.limits.max_payload,
        model_metadata=_about(file),
        restart_workers=True,
    )
    handler = RegularRequestHandler(api, server)
    routes = server.app.router.routes
    routes[:] = [route for route in routes if getattr(route, "path", None) != api.api_path]

    async def answered(request: Any, kind: type) -> Response:
        # A worker that is killed takes its requests with it: LitServe would let them wait for ever.
        try:
            response: Response = await asyncio.wait_for(handler.handle_request(request, kind), 2 * options.timeout + 1)
        except asyncio.TimeoutError:
            return JSONResponse({"error": f"no answer within {2 * options.timeout + 1:g} seconds"}, 504)
        return response

    @server.app.post("/predict")
    async def predict(request: Ask) -> Response:
        return await answered(request, Ask)

    @server.app.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)

    @server.app.exception_handler(RequestValidationError)
    async def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
        # Without the input, which may be as large as an image.
        problems = [f"{'.'.join(map(str, each['loc'][1:])) or 'body'}: {each['msg']}" for each in error.errors()]
        return JSONResponse({"error": f"the request is not as expected: {'; '.join(problems[:3])}"}, 422)

    @server.app.get("/metrics")
    async def metrics() -> Response:
        content, kind = exposition([counted])
        return Response(content, media_type=kind)

    @server.app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @server.app.get("/v2/models/cascade")
    async def metadata() -> dict[str, Any]:
        return _v2_metadata(file)

    @server.app.post("/v2/models/cascade/infer")
    async def infer(request: Infer) -> Response:
        return await answered(request, Infer)

    return server


def counting_folder() -> Path:
    """A new folder for the workers' counters."""
    return Path(tempfile.mkdtemp(prefix="orxe-metrics-"))


def _about(file: CascadeFile) -> dict[str, Any]:
    """What ``GET /info`` says of the cascade."""
    experts = [spec.name or spec.address for spec in file.specs]
    labels = list(file.labels) if file.labels else None
    about = {"task": file.task, "experts": experts, "labels": labels, "cost_unit": file.table.cost_unit}
    return dict(json.loads(json.dumps(about)))


def _v2_metadata(file: CascadeFile) -> dict[str, Any]:
    view = file.input_view
    shape = [-1, -1, -1, -1] if view is None else [-1, view.channels, *view.size]
    outputs = {"logits": "FP32", "expert": "INT64", "confidence": "FP32", "cost": "FP64"}
    return {
        "name": "cascade",
        "versions": ["1"],
        "platform": "orxe_plugins",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": shape}],
        "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in outputs.items()],
    }
