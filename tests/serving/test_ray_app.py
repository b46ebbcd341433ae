"""A Ray Serve application on a cluster of this machine; its experts live in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from orxe_plugins import OrxeError, load_cascade
from orxe_plugins.policies.selection import Selection
from orxe_plugins.serving.options import Limits, ServeOptions
from orxe_plugins.serving.server import serve_on_ray

httpx = pytest.importorskip("httpx")
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason='ray is not installed: pip install "orxe-plugins[ray]"')
AsText = Callable[..., str]


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_what_to_install_is_said(small_cascade: Path) -> None:
    with pytest.raises(OrxeError, match=r"pip install \"orxe-plugins\[ray\]\""):
        serve_on_ray(small_cascade)


@pytest.fixture(scope="module")
def url(small_cascade: Path) -> Iterator[str]:
    """A running application at preference 0.7."""
    import socket

    import ray
    from ray import serve

    from orxe_plugins.serving.ray_app import cascade_app

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        options = ServeOptions(Selection(0.7), device="cpu", timeout=20.0, limits=Limits(max_images=16))
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(cascade_app(small_cascade, options, most=1))
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def wanted(folder: Path, images: list[Image.Image]) -> list[tuple[int, str, float]]:
    """Class, expert and cost of a direct call."""
    with torch.inference_mode():
        outputs, route = load_cascade(folder, preference=0.7).route(images)
    names = [("small", "large")[expert] for expert in route.expert.tolist()]
    return list(zip(outputs.argmax(1).tolist(), names, [float(f"{c:.6g}") for c in route.cost.tolist()], strict=True))


def told(answers: list[dict[str, Any]]) -> list[tuple[int, str, float]]:
    return [(answer["class"], answer["expert"], answer["cost"]) for answer in answers]


@pytest.mark.long
@needs_ray
def test_it_answers_as_a_direct_call_and_a_killed_replica_costs_no_answer(
    url: str, small_cascade: Path, images: list[Image.Image], as_text: AsText
) -> None:
    texts, right = [as_text(image) for image in images], wanted(small_cascade, images)
    reply = httpx.post(f"{url}/predict", json={"images": texts}, timeout=60)
    assert reply.status_code == 200 and told(reply.json()["answers"]) == right
    for content, status in (({"image": "AAAA"}, 422), ({}, 400), ({"images": texts * 2}, 413), ({"x": 1}, 422)):
        assert httpx.post(f"{url}/predict", json=content, timeout=60).status_code == status

    heard: list[Any] = []

    def client() -> None:
        with httpx.Client(timeout=60) as session:
            for i in range(len(texts)):
                start = time.monotonic()
                answer = session.post(f"{url}/predict", json={"image": texts[i]})
                heard.append((i, answer, time.monotonic() - start))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    os.kill(replica("expert-1"), signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert len(heard) == 8 * len(texts)
    for i, answer, seconds in heard:
        assert answer.status_code == 200 and seconds < 45, answer.text
        (one,) = answer.json()["answers"]
        if "faults" in one:  # the near expert's answer, marked
            assert one["expert"] == "small" and one["faults"][0]["expert"] == "large"
        else:
            assert told([one]) == [right[i]]

    end = time.monotonic() + 60  # Ray starts another replica
    while told(httpx.post(f"{url}/predict", json={"images": texts}, timeout=60).json()["answers"]) != right:
        assert time.monotonic() < end
        time.sleep(1)


def replica(name: str) -> int:
    """The process of a deployment's replica."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"ServeReplica:default:{name}" in (folder / "cmdline").read_text():
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no replica of {name}")


@needs_ray
@pytest.mark.long
def test_what_cannot_be_taken_apart_is_refused(small_cascade: Path) -> None:
    from orxe_plugins.serving.ray_app import cascade_app

    with pytest.raises(OrxeError, match="a budget guard sees the images of one process"):
        cascade_app(small_cascade, ServeOptions(budget=1.0))
