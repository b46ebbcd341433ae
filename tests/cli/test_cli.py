from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
import torch
import typer
import yaml

from orxe_plugins import cli
from orxe_plugins.records import load_records

COMMANDS = sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]


class Done(Protocol):
    """What a command did: see conftest."""

    code: int
    out: str
    err: str


# --- help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_by_an_example_that_it_takes(command: str, orxe: Callable[..., Done]) -> None:
    done = orxe(command, "--help")
    assert done.code == 0
    text = " ".join(done.out.split())
    assert f"Example: orxe {command} " in text
    example = text.split("Example: orxe ")[1].split()
    options = {word for word in example if word.startswith("--") and command != "exec"}
    assert options <= set(done.out.split())


def test_the_issues_commands_are_there() -> None:
    assert {"run", "record", "search", "select-saver", "select-pool", "eval", "list", "predict", "exec"} <= {*COMMANDS}


def test_without_arguments_help_is_shown(orxe: Callable[..., Done]) -> None:
    done = orxe()
    assert "Start with: orxe run digits" in done.out + done.err


# --- a whole run ----------------------------------------------------------------------------------


def test_a_run_ends_with_its_table_and_the_paths(finished: Path) -> None:
    text = (finished / "stdout.txt").read_text()
    assert "Policies (images, reporting split, 18 samples)" in text
    for what, path in (
        ("picture", finished / "report" / "frontier.png"),
        ("report", finished / "report" / "report.html"),
        ("cascade", finished / "cascade"),
    ):
        assert f"{what}: {path}" in text.splitlines()
        assert path.exists()


def test_what_is_no_terminal_gets_no_bars_and_no_colours(finished: Path) -> None:
    for name in ("stdout.txt", "stderr.txt"):
        text = (finished / name).read_text()
        assert "\x1b" not in text and "\r" not in text
        assert "%|" not in text and "━" not in text
    said = (finished / "stderr.txt").read_text().splitlines()
    for name in ("small", "medium", "large"):
        assert f"{name}: 45 to do" in said and any(line.startswith(f"{name}: 45 done in ") for line in said)
    assert said[-2:] == ["searching thresholds", "evaluating on the reporting split"]


def test_the_steps_one_by_one_are_the_run(
    tiny_recipe: Path, finished: Path, tmp_path: Path, orxe: Callable[..., Done]
) -> None:
    recorded = orxe("record", tiny_recipe, "--out", tmp_path)
    assert (recorded.code, recorded.out) == (0, f"3 experts recorded in {tmp_path}, 0 samples skipped\n")
    searched = orxe("search", tiny_recipe, "--out", tmp_path)
    assert searched.code == 0 and " policies from " in searched.out and "GMACs in" in searched.out
    evaluated = orxe("eval", tiny_recipe, "--out", tmp_path)
    assert evaluated.out.replace(str(tmp_path), str(finished)) == (finished / "stdout.txt").read_text()
    for name in ("cascade/cascade.json", "report/report.json", "report/policies.csv"):
        ours, theirs = (folder / name for folder in (tmp_path, finished))
        text = ours.read_text().replace(str(tmp_path), str(finished))
        assert json.loads(text) == json.loads(theirs.read_text()) if name.endswith("json") else text


def test_savers_and_pools_are_printed(tiny_recipe: Path, out: Path, orxe: Callable[..., Done]) -> None:
    savers = orxe("select-saver", tiny_recipe, "--out", out)
    assert savers.code == 0
    assert "Delta C" in savers.out or "ΔC" in savers.out
    assert (out / "report" / "saver-of-large").is_dir()
    assert list((out / "report" / "saver-of-large").glob("*.png"))
    pool = orxe("select-pool", tiny_recipe, "-k", 2, "--out", out)
    assert pool.code == 0 and len(pool.out.split()) == 2
    assert set(pool.out.split()) <= {"small", "medium", "large"}
    refused = orxe("select-saver", tiny_recipe, "--base", "larg", "--out", out)
    assert refused.code == 2 and "did you mean 'large'" in refused.err


def test_eval_shows_routed_inference_and_shifts_beside_replay(
    tiny_recipe: Path, out: Path, orxe: Callable[..., Done]
) -> None:
    done = orxe("eval", tiny_recipe, "--out", out, "--routed", "--shift", "--preference", "0.75")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    replayed = next(line for line in lines if line[:2] == ["replay", "of"])
    routed = next(line for line in lines if line[:3] == ["routed", "inference,", "originals"])
    cost, score, ms, *shares, differ = routed[3:]
    assert [cost, score, *shares] == replayed[4:] and differ == "0" and float(ms) > 0
    for name in ("small", "medium", "large"):
        alone = next(line for line in lines if line[:2] == [name, "alone"])
        assert float(alone[4]) > 0 and alone[5:].count("100.0") == 1
    assert any(line[:3] == ["routed", "inference,", "tensor"] for line in lines)
    assert "Views derived from one tensor (18 samples)" in done.out


def test_bad_images_are_counted_and_listed(tiny_recipe: Path, tmp_path: Path, orxe: Callable[..., Done]) -> None:
    images = shutil.copytree(tiny_recipe / "images", tmp_path / "images")
    broken = images / "cat" / "03.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])
    (images / "ant" / "05.jpg").write_bytes(b"")
    done = orxe("run", tiny_recipe, "--out", tmp_path / "out", f"data.root={images}", "data.split.fit=0.4")
    assert done.code == 0
    assert "Samples left out: 2: ant/05.jpg (the file is empty); cat/03.jpg (cannot be decoded" in done.out
    recorded = orxe("record", tiny_recipe, "--out", tmp_path / "out", f"data.root={images}", "data.split.fit=0.4")
    assert "2 samples skipped\n  skipped ant/05.jpg: the file is empty\n" in recorded.out


def test_lists_name_what_recipes_may_use(orxe: Callable[..., Done]) -> None:
    everything = orxe("list")
    for word in ("digits", "imagenet_lite", "imagenet_orxe", "imagenet_tinysaver", "timm", "torchvision",
                 "classification", "max_softmax", "margin", "negative_entropy"):  # fmt: skip
        assert f"  {word} " in everything.out or f"  {word}\n" in everything.out
    assert "timm" not in orxe("list", "tasks").out
    assert orxe("list", "recipe").err == "error: unknown list 'recipe': did you mean 'recipes'?\n"


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.root={tmp}/nowhere"], "does not exist: expected a folder with one folder of images per class"),
        (["data.root={tmp}"], "is empty: expected one folder of images per class"),
        (["data.split.fit=1.5"], "data.split.fit is 1.5"),
        (["preferences=[0.5, 2]"], "2"),
        (["task=clasification"], "unknown task 'clasification': did you mean 'classification'?"),
        (["confidence={kind: max_softmx}"], "did you mean 'max_softmax'?"),
        (["experts=[{address: 'timm:resnet81'}]"], "did you mean 'timm:resnet"),
        (["experts=[{address: 'tim:resnet18'}]"], "unknown adapter 'tim': did you mean 'timm'?"),
        (["experts=[{address: resnet18}]"], "expected adapter:name, such as timm:resnet18"),
        (["experts=[{address: 'timm:resnet18', checkpoint: no.pth}]"], "checkpoint 'no.pth' of expert"),
        (["experts={tmp}/none.yaml"], "experts file"),
        (["spit.fit=0.3"], "unknown key 'spit'"),
        (["nonsense"], "expected key=value, such as data.split.fit=0.3"),
        (["record.augment=torchvision:x"], "has no augmentation"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    changes: list[str], message: str, tiny_recipe: Path, tmp_path: Path, orxe: Callable[..., Done]
) -> None:
    (tmp_path / "data").mkdir()
    filled = [change.replace("{tmp}", str(tmp_path / "data")) for change in changes]
    done = orxe("run", tiny_recipe, "--out", tmp_path / "out", *filled)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
    assert message in done.err
    assert not list((tmp_path / "out").rglob("*.parquet")) and not (tmp_path / "out" / "cascade").exists()


def test_other_commands_name_what_they_miss(
    tiny_recipe: Path, tmp_path: Path, orxe: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "unknown recipe 'digit': did you mean 'digits'" in orxe("run", "digit").err
    assert "add --data FOLDER" in orxe("record", "imagenet_lite").err
    assert "holds no records: make some by `orxe record" in orxe("search", tiny_recipe, "--out", "new").err
    assert "no cascade at 'nowhere'" in orxe("predict", "nowhere", "x.jpg").err
    assert "no script at 'nowhere.py'" in orxe("exec", "nowhere.py").err
    assert orxe("eval", tiny_recipe, "--preference", "1.5").code == 2
    assert orxe("select-pool", tiny_recipe, "-k", "0").code == 2
    assert not list(tmp_path.iterdir()) or [path.name for path in tmp_path.iterdir()] == ["new"]


def test_records_of_another_data_set_are_refused_until_fresh(
    tiny_recipe: Path, out: Path, tmp_path: Path, orxe: Callable[..., Done]
) -> None:
    images = shutil.copytree(tiny_recipe / "images", tmp_path / "images")
    (images / "ant" / "00.jpg").unlink()
    done = orxe("run", tiny_recipe, "--out", out, f"data.root={images}")
    assert done.code == 2 and "holds records of another data set" in done.err and "--fresh" in done.err
    assert len(load_records(out / "records")) == 45
    assert orxe("record", tiny_recipe, "--out", out, f"data.root={images}", "--fresh").code == 0
    assert len(load_records(out / "records")) == 44


def test_an_expert_that_answers_nan_is_named(tiny_recipe: Path, tmp_path: Path, orxe: Callable[..., Done]) -> None:
    raw = yaml.safe_load((tiny_recipe / "recipe.yaml").read_text())
    weights = torch.load(tiny_recipe / "small.pth", weights_only=True)
    weights["classifier.weight"].fill_(float("nan"))
    torch.save(weights, tmp_path / "nan.pth")
    raw["experts"][0]["checkpoint"] = str(tmp_path / "nan.pth")
    recipe = shutil.copytree(tiny_recipe, tmp_path / "recipe")
    (recipe / "recipe.yaml").write_text(yaml.safe_dump(raw))
    done = orxe("run", recipe, "--out", tmp_path / "out", "record.shard_size=20")
    assert done.code == 2
    assert "expert 'small' answered NaN to each of 20 samples from 'ant/00.jpg' on" in done.err
    assert not (tmp_path / "out" / "cascade").exists()


# --- stopped runs ---------------------------------------------------------------------------------


@pytest.mark.long
def test_three_kills_in_the_middle_of_orxe_record_change_nothing(tiny_recipe: Path, tmp_path: Path) -> None:
    small = ["record.batch_size=1", "record.shard_size=1"]
    command = [sys.executable, "-m", "orxe_plugins.cli", "record", str(tiny_recipe), *small, "--out"]

    def shards(folder: Path) -> int:
        return len(list(folder.rglob("shard-*.parquet")))

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    assert shards(whole) == 3 * 45
    chance = random.Random(7)
    for kill in range(3):
        wanted = shards(killed) + chance.randint(1, 30)
        with subprocess.Popen([*command, str(killed)], stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and shards(killed) < wanted:
                time.sleep(0.001)
            time.sleep(0.02 * chance.random())
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, f"run {kill} ended before it was killed"
        assert 0 < shards(killed) < shards(whole)
    done = subprocess.run([*command, str(killed)], check=True, capture_output=True, text=True)
    assert done.stdout == f"3 experts recorded in {killed}, 0 samples skipped\n"
    contents = [
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.name != ".lock"
        }
        for folder in (whole, killed)
    ]
    assert contents[0] == contents[1]


def test_ctrl_c_says_that_the_same_command_goes_on(tiny_recipe: Path, tmp_path: Path) -> None:
    small = ["record.batch_size=1", "record.shard_size=1"]
    command = [sys.executable, "-m", "orxe_plugins.cli", "record", str(tiny_recipe), *small, "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(tmp_path.rglob("shard-*.parquet")):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.endswith("\nstopped; the same command goes on where this one was\n")
    assert not list(tmp_path.rglob("*.tmp*"))
