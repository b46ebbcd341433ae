"""A small cascade, and a server of it in a process of its own."""

from __future__ import annotations

import base64
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import Cascade, ExpertSpec, PolicyRow, PolicyTable, load_expert, save_cascade
from orxe_plugins.policies.policy import Policy

sys.path.insert(0, str(Path(__file__).parent))  # for far_server.py


def _as_text(image: Image.Image, kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="session")
def as_text() -> Callable[..., str]:
    """An image as a file in base64: ``as_text(image, kind="PNG")``."""
    return _as_text


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    """Some made-up images of several sizes."""
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)).resize((40 + 3 * i, 60)) for i in range(12)
    ]


@pytest.fixture(scope="session")
def small_cascade(tiny_recipe: Path, images: list[Image.Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cascade of two tiny models, of which some images go on to the second."""
    experts = [
        load_expert(ExpertSpec(
            f"timm:{model}", name=name, checkpoint=str(tiny_recipe / f"{name}.pth"),
            options={"num_classes": 3, "input_size": size},
        ))
        for name, model, size in (("small", "test_efficientnet", 32), ("large", "test_resnet", 48))
    ]  # fmt: skip
    costs = [expert.measure_cost() for expert in experts]
    with torch.inference_mode():
        seen = experts[0].run(images).confidence.sort().values
    half = float(seen[len(seen) // 2 - 1 : len(seen) // 2 + 1].mean())  # between two confidences, near neither
    rows = [
        PolicyRow(preference, Policy((threshold,)), costs[0] + preference * costs[1], 0.5 + preference / 2)
        for preference, threshold in ((0.0, 0.0), (0.7, half), (1.0, None))
    ]
    folder = tmp_path_factory.mktemp("served") / "cascade"
    save_cascade(Cascade(experts, table=PolicyTable(tuple(rows))), folder)
    return folder


@contextmanager
def started(arguments: list[str], url: str, ready: Callable[[], bool], log: Path) -> Iterator[str]:
    """A process that serves at ``url``; it and its children are gone afterwards."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            end = time.monotonic() + 180
            while not ready():
                assert process.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
                time.sleep(0.1)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def started_server(folder: Path, log: Path, *more: str) -> Iterator[str]:
    """``orxe serve`` of a folder on a free port; yields its URL."""
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("litserve")
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return bool(httpx.get(f"{url}/health", timeout=2).status_code == 200)
        except httpx.HTTPError:
            return False

    command = ["-m", "orxe_plugins.cli", "serve", str(folder), "--port", str(port), "--device", "cpu", *more]
    with started(command, url, ready, log) as at:
        yield at


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """``with serve(folder, log, *options) as url`` runs ``orxe serve`` meanwhile."""
    return started_server


@pytest.fixture(scope="session")
def server(small_cascade: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of ``small_cascade`` at preference 0.7."""
    log = tmp_path_factory.mktemp("server") / "log"
    with started_server(small_cascade, log, "--preference", "0.7", "--max-pixels", "100000") as url:
        yield url
