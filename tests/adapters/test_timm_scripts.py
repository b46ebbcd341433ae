"""A script of the shape of timm's validate.py, which knows nothing of this project, run by `orxe exec`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orxe_plugins import replay
from orxe_plugins.cascade.file import load_cascade
from orxe_plugins.evaluation.routed import run_routed
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.run.recording import record_pool
from orxe_plugins.run.run import Run
from orxe_plugins.run.samples import samples_of
from orxe_plugins.run.searching import search

pytest.importorskip("orxe_timm")

VALIDATE = """
import argparse, json
import torch
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.models import create_model
from timm.utils import AverageMeter, ParseKwargs, accuracy

parser = argparse.ArgumentParser()
parser.add_argument("--data-dir")
parser.add_argument("--model", "-m")
parser.add_argument("--class-map", default="")
parser.add_argument("-b", "--batch-size", default=8, type=int)
parser.add_argument("--num-classes", type=int, default=None)
parser.add_argument("--model-kwargs", nargs="*", default={}, action=ParseKwargs)

def main():
    args = parser.parse_args()
    args.prefetcher = True
    device = torch.device("cpu")
    model = create_model(args.model, pretrained=True, num_classes=args.num_classes, in_chans=3, global_pool=None,
                         scriptable=False, **args.model_kwargs)
    num_classes = args.num_classes or model.num_classes
    param_count = sum(m.numel() for m in model.parameters())
    config = resolve_data_config(vars(args), model=model, use_test_size=True)
    model = model.to(device).to(memory_format=torch.channels_last)
    dataset = create_dataset("", root=args.data_dir, split="validation", class_map=args.class_map)
    loader = create_loader(dataset, input_size=config["input_size"], batch_size=args.batch_size,
                           use_prefetcher=args.prefetcher, interpolation=config["interpolation"], mean=config["mean"],
                           std=config["std"], num_workers=0, crop_pct=config["crop_pct"],
                           crop_mode=config["crop_mode"], device=device)
    top1, losses = AverageMeter(), AverageMeter()
    model.eval()
    with torch.inference_mode():
        model(torch.randn((args.batch_size, *config["input_size"]), device=device))
        for images, target in loader:
            output = model(images.contiguous(memory_format=torch.channels_last))
            losses.update(torch.nn.functional.cross_entropy(output, target).item(), images.size(0))
            top1.update(accuracy(output, target, topk=(1,))[0].item(), images.size(0))
    print(json.dumps({"top1": top1.avg, "loss": losses.avg, "count": top1.count, "classes": num_classes,
                      "params": param_count, "input_size": config["input_size"]}))

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timm") / "validate.py"
    path.write_text(VALIDATE)
    return path


def validate(script: Path, *arguments: object) -> dict[str, object]:
    command = [sys.executable, "-m", "orxe_plugins.cli", "exec", str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_timms_loop_says_what_the_recorders_path_says(tiny_recipe: Path, tmp_path: Path, script: Path) -> None:
    run = Run(
        load_recipe(tiny_recipe, out=tmp_path, overrides=["path=tensor", "data.split.fit=1", "scores=raw"]), tmp_path
    )
    record_pool(run)
    fitted = search(run)
    file, splits = fitted.file, fitted.splits
    said = validate(script, "-m", "orxe_metamodel", "--data-dir", tiny_recipe / "images",
                    "--model-kwargs", f"cascade={tmp_path / 'cascade'}", "preference=0.75")  # fmt: skip
    policy = file.table.at(0.75).policy
    assert len(set(replay(splits.report, policy).expert.tolist())) > 1, "a cascade of one expert would show nothing"
    cascade = load_cascade(tmp_path / "cascade", 0.75)
    routed = run_routed(cascade, samples_of(run, splits.report), run.task, input_mode="tensor")
    # timm's loader normalises bytes, and rounds otherwise in the last place.
    assert said["top1"] == pytest.approx(100 * routed.score.mean(), abs=100 / 45 + 1e-6)
    assert said["top1"] == pytest.approx(100 * replay(splits.report, policy).score, abs=100 / 45 + 1e-6)
    assert (said["count"], said["classes"]) == (45, 3)
    assert said["params"] == sum(expert.params for expert in cascade.members)
    assert cascade.input_view is not None
    assert said["input_size"] == [3, *cascade.input_view.size]


def test_experts_can_be_named_on_the_command_line(tiny_recipe: Path, script: Path) -> None:
    files = [str(tiny_recipe / f"{name}.pth") for name in ("small", "large")]
    (tiny_recipe.parent / "map.txt").write_text("ant\nbee\ncat\n")
    said = validate(script, "-m", "orxe_metamodel", "--data-dir", tiny_recipe / "images", "--num-classes", 3,
                    "--class-map", tiny_recipe.parent / "map.txt", "--model-kwargs",
                    "experts=['test_efficientnet','test_resnet']", f"checkpoints={files}", "exit_thresholds=[0.5]",
                    "expert_kwargs=[{'input_size': 32}, {'input_size': 48}]")  # fmt: skip
    assert (said["count"], said["classes"]) == (45, 3)
    assert said["top1"] > 0  # type: ignore[operator]


def test_an_error_in_the_arguments_is_one_line(tiny_recipe: Path, script: Path) -> None:
    command = [sys.executable, "-m", "orxe_plugins.cli", "exec", str(script), "-m", "orxe_metamodel",
               "--model-kwargs", "experts=['resnet81']"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: unknown expert 'timm:resnet81': did you mean 'timm:resnet")
    assert "Traceback" not in done.stderr
