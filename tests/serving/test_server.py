from __future__ import annotations

import base64
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from orxe_plugins import load_cascade

httpx = pytest.importorskip("httpx")
AsText = Callable[..., str]
#: the server's --max-pixels
PIXELS = 100_000


@pytest.fixture(scope="module")
def direct(small_cascade: Path, images: list[Image.Image]) -> list[dict[str, Any]]:
    """What the cascade says of each image when it is called itself."""
    cascade = load_cascade(small_cascade, preference=0.7)
    with torch.inference_mode():
        outputs, route = cascade.route(images)
    assert 0 < route.expert.sum() < len(images)  # both experts answer some
    names = ("small", "large")
    return [
        {"class": c, "expert": names[e], "confidence": p, "cost": cost}
        for c, e, p, cost in zip(
            outputs.argmax(1).tolist(), route.expert.tolist(), route.confidence.tolist(), route.cost.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def same(answer: dict[str, Any], wanted: dict[str, Any]) -> bool:
    close = all(answer[key] == pytest.approx(wanted[key], abs=1e-3) for key in ("confidence", "cost"))
    return close and all(answer[key] == wanted[key] for key in ("class", "expert"))


def ask(url: str, **content: Any) -> Any:
    return httpx.post(f"{url}/predict", json=content, timeout=60)


def test_one_image_and_several_are_answered_as_by_a_direct_call(
    server: str, images: list[Image.Image], direct: list[dict[str, Any]], as_text: AsText
) -> None:
    single = ask(server, image=as_text(images[0]))
    assert single.status_code == 200
    assert len(single.json()["answers"]) == 1 and same(single.json()["answers"][0], direct[0])
    answers = ask(server, images=[as_text(image) for image in images]).json()["answers"]
    assert len(answers) == len(images)
    assert all(same(answer, wanted) for answer, wanted in zip(answers, direct, strict=True))
    assert set(answers[0]) == {"class", "name", "expert", "confidence", "cost", "cost_unit"}
    whole = ask(server, image=f"data:image/png;base64,{as_text(images[3])}", outputs=True).json()["answers"][0]
    assert int(np.argmax(whole["outputs"])) == direct[3]["class"]


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        ({}, 400, "give either image, or images"),
        ({"image": "a", "images": ["b"]}, 400, "give either image, or images"),
        ({"images": []}, 400, "holds no image"),
        ({"images": ["a"] * 65}, 413, "65 images: at most 64"),
        ({"image": "%%%"}, 400, "image is no base64"),
        ({"image": base64.b64encode(b"no image at all").decode()}, 422, "no image of a kind that is served"),
        ({"image": 3}, 422, "image: "),
        ({"picture": "a"}, 422, "picture: "),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(server: str, content: dict[str, Any], status: int, message: str) -> None:
    reply = ask(server, **content)
    assert reply.status_code == status, reply.text
    assert message in reply.json()["error"]


def test_bad_images_are_named(server: str, images: list[Image.Image], as_text: AsText) -> None:
    good = as_text(images[0], "JPEG")
    cut = base64.b64encode(base64.b64decode(good)[:-200]).decode()
    large = as_text(Image.new("L", (PIXELS, 2)))
    other = as_text(images[0], "TIFF")
    for bad, status, message in (
        (cut, 422, "images[1] cannot be decoded"),
        (large, 413, f"images[1] has {PIXELS} x 2 pixels: at most 100,000"),
        (other, 422, "images[1] is no image of a kind that is served"),
    ):
        reply = ask(server, images=[good, bad])
        assert reply.status_code == status and message in reply.json()["error"], reply.text


def test_what_is_no_json_is_refused(server: str) -> None:
    reply = httpx.post(f"{server}/predict", content=b"{", headers={"Content-Type": "application/json"})
    assert reply.status_code == 422 and "error" in reply.json()


def test_many_clients_get_their_own_answers_and_bad_requests_fail_alone(
    server: str, images: list[Image.Image], direct: list[dict[str, Any]], as_text: AsText
) -> None:
    texts = [as_text(image) for image in images]
    statuses: Counter[int] = Counter()
    wrong: list[Any] = []

    def client(seed: int) -> None:
        rng = np.random.default_rng(seed)
        with httpx.Client(timeout=60, verify=False, trust_env=False) as session:
            while time.monotonic() < end:
                i = int(rng.integers(len(images) + 2))
                bad = i >= len(images)
                text = "AAAA" if bad else texts[i]
                reply = session.post(f"{server}/predict", json={"image": text})
                statuses[reply.status_code] += 1
                if reply.status_code != (422 if bad else 200):
                    wrong.append(reply.text)
                elif not bad and not same(reply.json()["answers"][0], direct[i]):
                    wrong.append((reply.json(), direct[i]))

    end = time.monotonic() + 3
    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    assert set(statuses) == {200, 422} and statuses[200] > 0


def test_what_was_answered_is_counted(server: str, images: list[Image.Image], as_text: AsText) -> None:
    def counts() -> dict[str, float]:
        lines = httpx.get(f"{server}/metrics").text.splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    ask(server, image=as_text(images[0]))  # costs are counted before the first answer
    before = counts()
    ask(server, images=[as_text(image) for image in images])
    ask(server, image="AAAA")
    after = counts()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown("orxe_images_total") == len(images)
    assert grown('orxe_requests_total{status="200"}') == 1 and grown('orxe_requests_total{status="422"}') == 1
    exits = [grown(f'orxe_exits_total{{expert="{name}"}}') for name in ("small", "large")]
    assert sum(exits) == len(images) and min(exits) > 0
    assert grown('orxe_confidence_count{expert="small"}') == exits[0]
    assert grown('orxe_expert_seconds_count{expert="large"}') == 1
    assert grown("orxe_cost_total") > 0


def test_the_server_says_what_it_serves(server: str) -> None:
    about = httpx.get(f"{server}/info").json()["model"]
    assert about["task"] == "classification" and about["experts"] == ["small", "large"]
    assert httpx.get(f"{server}/v2/health/live").json() == {"live": True}
    assert httpx.get(f"{server}/v2/models/cascade").json()["inputs"][0]["datatype"] == "FP32"


def test_tensors_are_answered_by_kserves_protocol(server: str, small_cascade: Path, images: list[Image.Image]) -> None:
    cascade = load_cascade(small_cascade, preference=0.7)
    assert cascade.input_view is not None
    batch = cascade.input_view.from_images(images[:3])
    with torch.inference_mode():
        logits, route = cascade.route(batch)
    content = {"name": "x", "shape": list(batch.shape), "datatype": "FP32", "data": batch.flatten().tolist()}
    reply = httpx.post(f"{server}/v2/models/cascade/infer", json={"id": "7", "inputs": [content]}, timeout=60).json()
    outputs = {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in reply["outputs"]}
    assert reply["id"] == "7"
    np.testing.assert_allclose(outputs["logits"], logits.numpy(), rtol=1e-3, atol=1e-3)
    assert outputs["expert"].tolist() == route.expert.tolist()
    for change, status in (({"datatype": "INT8"}, 400), ({"shape": [1, 3, 2, 2]}, 422), ({"data": []}, 422)):
        bad = httpx.post(f"{server}/v2/models/cascade/infer", json={"inputs": [{**content, **change}]}, timeout=60)
        assert bad.status_code == status and "error" in bad.json()


@pytest.mark.long
def test_memory_stays_flat_under_many_clients(
    server: str, images: list[Image.Image], direct: list[dict[str, Any]], as_text: AsText
) -> None:
    """A minute of 64 clients, bad requests among them: as above, and the server grows no more."""
    texts = [as_text(image) for image in images]
    wrong: list[Any] = []
    asked = Counter[int]()

    def client(seed: int) -> None:
        rng = np.random.default_rng(seed)
        with httpx.Client(timeout=60, verify=False, trust_env=False) as session:
            while time.monotonic() < end:
                i = int(rng.integers(len(images)))
                is_bad = rng.random() < 0.1
                reply = session.post(f"{server}/predict", json={"image": texts[i][:100] if is_bad else texts[i]})
                asked[reply.status_code] += 1
                if not is_bad and not (reply.status_code == 200 and same(reply.json()["answers"][0], direct[i])):
                    wrong.append(reply.text)

    sizes = []
    for seconds in (15, 45):
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sizes.append(memory_of(server))
    assert not wrong, wrong[:3]
    assert set(asked) <= {200, 400, 422} and asked[200] > 0
    assert sizes[1] < 1.05 * sizes[0] + 5e6, sizes


def memory_of(url: str) -> int:
    """Bytes of all processes of the server that listens at ``url``."""
    port = int(url.rpartition(":")[2])
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_text().replace("\0", " ")
            ours = f"--port {port} " in line
            session = os.getsid(int(folder.name))
        except OSError:
            continue
        if ours:
            leader = session
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == leader:
                rollup = (folder / "smaps_rollup").read_text()
                total += sum(1024 * int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
        except OSError:
            continue
    return total


def test_a_budget_is_kept_and_can_be_watched(
    small_cascade: Path, images: list[Image.Image], as_text: AsText, serve: Any, tmp_path: Path
) -> None:
    small, large = (expert.measure_cost() for expert in load_cascade(small_cascade).members)
    budget, window = small + 0.3 * large, 100
    more = ("--preference", "1", "--guard", str(budget), "--window", str(window))
    with serve(small_cascade, tmp_path / "log", *more) as url:
        texts = [as_text(image) for image in images]
        costs = []
        for _ in range(20):
            reply = ask(url, images=texts)
            assert reply.status_code == 200
            costs += [answer["cost"] for answer in reply.json()["answers"]]
        lines = httpx.get(f"{url}/metrics").text.splitlines()
    state = {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line.startswith("orxe_budget")}
    sums = np.concatenate([[0.0], np.cumsum(costs)])
    assert ((sums[window:] - sums[:-window]) / window).max() <= 1.05 * budget
    assert len({round(cost, 9) for cost in costs}) == 2  # some go on, as far as the budget reaches
    assert state["orxe_budget_per_sample"] == pytest.approx(budget)
    assert state["orxe_budget_mean_cost"] == pytest.approx(np.mean(costs[-window:]), rel=1e-3)
    assert 0 <= state["orxe_budget_room"] <= 1 and state["orxe_budget_held_back"] >= 0
