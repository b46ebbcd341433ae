"""A cascade on Ray Serve: each expert is a deployment of its own that grows with its load; a router composes them.

Most images end at the cheap expert, so that it needs many replicas and the last one few: Ray sees to that by itself.
A replica that dies, or does not answer in time, costs its images their later answers: they keep the best they have.
"""

# Annotations have to be classes here, not text: FastAPI reads them.
import asyncio
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from ray import serve

from orxe_plugins.cascade.faults import in_words
from orxe_plugins.cascade.file import CascadeFile
from orxe_plugins.cascade.plan import stages_of
from orxe_plugins.data.batch import samples_of, stacked
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.detector import DetectorExpert
from orxe_plugins.experts.registry import load_expert
from orxe_plugins.serving.answering import values_of
from orxe_plugins.serving.loading import check_served
from orxe_plugins.serving.options import ServeOptions
from orxe_plugins.serving.requests import Ask, refusal
from orxe_plugins.serving.uploads import RequestError, read_uploads
from orxe_plugins.tasks.task import task_named


class ExpertReplica:
    """One expert of a cascade; calls that come at once are answered together."""

    def __init__(self, folder: Path, options: ServeOptions, number: int) -> None:
        file = check_served(folder, options)
        expert = load_expert((file.trusted() if options.trust else file).specs[number])
        if isinstance(expert, DetectorExpert) and file.labels:
            expert.remap_to(file.labels)
        self._expert = expert.to("cuda" if torch.cuda.is_available() and options.device != "cpu" else "cpu")
        self.answer.set_max_batch_size(options.batch_size)
        self.answer.set_batch_wait_timeout_s(options.max_wait)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.005)
    async def answer(self, images: list[Any]) -> list[tuple[Any, float, float]]:
        """Output, confidence and cost of each image."""
        with torch.inference_mode():
            answers = self._expert.run(images)
            cost = self._expert.measure_cost(images[:1]) + self._expert.shared_cost
        confidence = torch.nan_to_num(answers.confidence.float(), nan=0.0).tolist()
        return [(_on_cpu(row), c, cost) for row, c in zip(samples_of(answers.outputs), confidence, strict=True)]


def _on_cpu(row: Any) -> Any:
    return row.to("cpu") if hasattr(row, "to") else row


app = FastAPI()


class Router:
    """Sends each image from expert to expert by the cascade's thresholds."""

    def __init__(self, folder: Path, options: ServeOptions, experts: list[Any]) -> None:
        file = check_served(folder, options)
        self._task, self._labels, self._unit = task_named(file.task), file.labels or (), file.table.cost_unit
        self._names = [str(spec.name or spec.address) for spec in file.specs]
        self._stages = stages_of(file.table.choose(options.asked).policy)
        self._options, self._experts = options, experts

    @app.get("/health")
    async def health(self) -> str:
        """Whether the router answers."""
        return "ok"

    @app.post("/predict")
    async def predict(self, request: Ask) -> JSONResponse:
        """See ``POST /predict`` of :func:`orxe_plugins.serving.make_server`; without raw outputs."""
        try:
            if (request.image is None) == (request.images is None):
                raise RequestError("give either image, or images: a list of them")
            given = [request.image] if request.image is not None else request.images or []
            images = read_uploads(given, self._options.limits, self._task.turns_images)
        except RequestError as error:
            reply = refusal(error)
            return JSONResponse(reply.content, reply.status)
        answers = await asyncio.gather(*map(self._answered, images))
        if all("error" in answer for answer in answers):
            return JSONResponse({"error": answers[0]["faults"][-1]["error"], "answers": answers}, 503)
        return JSONResponse({"answers": answers})

    async def _answered(self, image: Any) -> dict[str, Any]:
        """One image's answer by the best expert that it reached; the rule is that of Cascade.route."""
        best: tuple[int, Any, float] | None = None
        faults: list[dict[str, Any]] = []
        total = 0.0
        for stage in self._stages:
            if best is not None and best[2] < stage.skip:
                continue
            try:
                call = self._experts[stage.expert].answer.remote(image)
                output, confidence, cost = await asyncio.wait_for(call, self._options.timeout)
            # Whatever happens to a replica: it died, hangs, or raised.
            except Exception as error:
                faults.append({"expert": self._names[stage.expert], "error": in_words(error)})
                if best is not None:
                    break
                continue
            best, total = (stage.expert, output, confidence), total + cost
            if stage.exit is None or confidence >= stage.exit:
                break
        marked = {"faults": faults} if faults else {}
        price = {"cost": float(f"{total:.6g}"), "cost_unit": self._unit}
        if best is None:
            return {"error": "no expert gave an answer", "expert": None, **price, **marked}
        expert, output, confidence = best
        (values,) = values_of(self._task, self._labels, stacked([output]) if torch.is_tensor(output) else [output])
        return {**values, "expert": self._names[expert], "confidence": round(confidence, 6), **price, **marked}


def cascade_app(folder: str | Path, options: ServeOptions | None = None, *, most: int = 8) -> Any:
    """A Ray Serve application of a cascade's folder; ``ray.serve.run(cascade_app(folder))`` starts it.

    Args:
        folder: of a cascade, or of the run that made it; every node of the cluster needs it at the same place.
        options: how to serve; a budget guard is for one process and is refused.
        most: replicas of each expert, at most.

    Raises:
        OrxeError: there is no such cascade or policy, or its experts build on each other.
    """
    options, place = options or ServeOptions(), Path(folder).resolve()
    file = check_served(place, options)
    _check_apart(file, options)
    grows = {"min_replicas": 1, "max_replicas": most, "target_ongoing_requests": options.batch_size}
    experts = [
        serve.deployment(ExpertReplica, name=f"expert-{i}", autoscaling_config=grows)
        .options(max_ongoing_requests=4 * options.batch_size)
        .bind(place, options, i)
        for i in range(len(file.specs))
    ]
    router = serve.deployment(serve.ingress(app)(Router), name="router")
    return router.options(max_ongoing_requests=1000).bind(place, options, experts)


def _check_apart(file: CascadeFile, options: ServeOptions) -> None:
    if options.budget is not None:
        raise OrxeError("a budget guard sees the images of one process: serve with litserve, or leave --guard out")
    for spec in file.specs:
        if spec.needs or spec.shared_cost or "exit" in spec.address:
            raise OrxeError(
                f"expert {spec.name or spec.address!r} is an exit inside of a model, which has to run beside it: serve "
                "this cascade with litserve"
            )
