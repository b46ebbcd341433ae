"""A served cascade under many clients at once: throughput, waiting times and memory, beside its last expert alone.

The experts are those of the digits demo (`orxe run digits`). Clients, server and direct calls share one machine. Every
answer is compared with that of a direct call; one request in twenty is bad and has to be refused. Writes serving.json
and serving.md beside this file.

    python benchmarks/bench_serving.py --run runs/digits
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch

from orxe_plugins import Policy, PolicyRow, PolicyTable
from orxe_plugins.cascade.file import CascadeFile, cascade_of, read_cascade, write_cascade
from orxe_plugins.data.reading import image_files, read_image

BAD = "AAAA"


@dataclass
class Heard:
    """What the clients heard."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/digits"), help="folder of a run of the digits recipe")
    parser.add_argument("--clients", type=int, default=64, help="clients at once")
    parser.add_argument("--seconds", type=float, default=60, help="how long they ask")
    parser.add_argument("--warm", type=float, default=90, help="how long they ask before that")
    parser.add_argument("--preference", type=float, default=0.7, help="of the cascade")
    parser.add_argument("--images", type=int, default=200, help="different images")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    options = parser.parse_args()
    file = read_cascade(options.run, trust=True)
    listed = image_files(options.run / "digits")
    chosen = random.Random(0).sample(listed.images, options.images)
    paths = [listed.folder / name for name in chosen]
    result: dict[str, Any] = {
        "clients": options.clients,
        "seconds": options.seconds,
        "warm": options.warm,
        "cores": os.cpu_count(),
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, served in (("the cascade", _at(file, options.preference)), ("its last expert alone", _last(file))):
            place = Path(folder) / name.replace(" ", "-")
            write_cascade(place, served)
            result["rows"].append({"what": name, **_measured(place, served, paths, options)})
    (options.out / "serving.json").write_text(json.dumps(result, indent=2) + "\n")
    text = to_markdown(result)
    (options.out / "serving.md").write_text(text)
    print(text)


def _at(file: CascadeFile, preference: float) -> CascadeFile:
    """The cascade with one policy alone."""
    return replace(file, table=PolicyTable((file.table.at(preference),), cost_unit=file.table.cost_unit))


def _last(file: CascadeFile) -> CascadeFile:
    """The same with every image at the last expert."""
    row = PolicyRow(1.0, Policy.never(len(file.specs)), file.table.reference_cost, file.table.reference_score)
    return replace(file, table=PolicyTable((row,), cost_unit=file.table.cost_unit))


def _measured(place: Path, file: CascadeFile, paths: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    cascade = cascade_of(file, trust=True)
    images = [read_image(path) for path in paths]
    with torch.inference_mode():
        outputs, _ = cascade.route(images)
    wanted = outputs.argmax(1).tolist()
    direct = _direct(cascade, images)
    with _server(place) as (url, process):
        _ask(url, paths, wanted, options.clients, 1)
        memory = [_memory(process)]
        warm = _ask(url, paths, wanted, options.clients, options.warm)
        memory.append(_memory(process))
        heard = _ask(url, paths, wanted, options.clients, options.seconds)
        memory.append(_memory(process))
    heard.wrong += warm.wrong
    if heard.wrong:
        raise SystemExit(f"{len(heard.wrong)} answers are not as they should be, such as {heard.wrong[0]}")
    good = heard.statuses[200]
    p50, p95, p99 = (1000 * float(np.quantile(heard.seconds, q)) for q in (0.5, 0.95, 0.99))
    return {
        "answered": good, "refused": heard.statuses[422], "per_second": good / options.seconds,
        "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "memory_mib": memory, **direct,
    }  # fmt: skip


@torch.inference_mode()
def _direct(cascade: Any, images: list[Any]) -> dict[str, float]:
    """Images a second of direct calls, one at a time and 64 at once."""
    rates = {}
    for name, size in (("direct_single", 1), ("direct_batches", 64)):
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < 5:
            first = done % len(images)
            part = images[first : first + size]
            cascade.route(part)
            done += len(part)
        rates[name] = done / (time.perf_counter() - start)
    return rates


@contextmanager
def _server(folder: Path) -> Any:
    """`orxe serve` of a folder; its URL and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "orxe_plugins.cli", "serve", str(folder), "--port", str(port), "--device", "cpu", "--trust"]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + 180
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not start")
            time.sleep(0.2)
        yield url, process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _ask(url: str, paths: list[Path], wanted: list[int], clients: int, seconds: float) -> Heard:
    """Many clients, each of which asks for one image after the other."""
    texts = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    heard = Heard()
    end = time.monotonic() + seconds

    def client(seed: int) -> None:
        drawn = random.Random(seed)
        with httpx.Client(timeout=60, verify=False, trust_env=False) as session:
            while time.monotonic() < end:
                i = drawn.randrange(len(texts))
                is_bad = drawn.random() < 0.05
                start = time.perf_counter()
                reply = session.post(f"{url}/predict", json={"image": BAD if is_bad else texts[i]})
                heard.seconds.append(time.perf_counter() - start)
                heard.statuses[reply.status_code] += 1
                if reply.status_code != (422 if is_bad else 200):
                    heard.wrong.append(reply.text)
                elif not is_bad and reply.json()["answers"][0]["class"] != wanted[i]:
                    heard.wrong.append(f"{reply.json()} for {wanted[i]}")

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def _memory(process: subprocess.Popen[bytes]) -> float:
    """MiB of the server's processes together, as far as they do not share them."""
    total, todo = 0, [process.pid]
    while todo:
        pid = todo.pop()
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            todo += map(int, task.read_text().split())
    return round(total / 1024, 1)


def to_markdown(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "# A served cascade under load",
        "",
        f"`orxe serve` on the experts of the digits demo: {result['clients']} clients ask for one image after the "
        f"other for {result['seconds']:g} seconds, on the same {result['cores']} cores as the server; one request in "
        "twenty is bad and refused. Every answer is that of a direct call. Beside it, direct calls without a server, "
        "one image at a time and in batches of 64, decoded in advance.",
        "",
        "| served | images/s | p50 ms | p95 ms | p99 ms | direct, single | direct, batches | MiB: first, warm, after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['what']} | {row['per_second']:.0f} | {row['p50_ms']:.0f} | {row['p95_ms']:.0f} "
            f"| {row['p99_ms']:.0f} | {row['direct_single']:.0f} | {row['direct_batches']:.0f} "
            f"| {', '.join(f'{each:g}' for each in row['memory_mib'])} |"
        )
    answered = sum(row["answered"] for row in result["rows"])
    refused = sum(row["refused"] for row in result["rows"])
    grown = max(row["memory_mib"][2] - row["memory_mib"][1] for row in result["rows"])
    lines += [
        "",
        f"{answered:,} images answered, {refused:,} bad requests refused, no other error.",
        "",
        f"Memory is that of all processes of the server: after one second, after {result['warm']:g} seconds of the "
        "same load, which are not measured, and after those that are. A worker keeps what it frees for later batches, "
        f"and grows by less and less: by {grown:+.1f} MiB at most in the seconds measured.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
