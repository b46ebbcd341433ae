"""Every format of files that the project reads: how a good one is made, and how it is read."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from orxe_plugins.cascade.file import cascade_of, read_cascade
from orxe_plugins.confidence.gate import GateNet, RankingGate, save_gate
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.data.image_lists import table_of_images
from orxe_plugins.data.masks import images_with_masks
from orxe_plugins.data.reading import BadSampleError, read_image
from orxe_plugins.data.views import ImageView
from orxe_plugins.detection.coco.dataset import CocoDataset
from orxe_plugins.detection.yolo.dataset import YoloFiles
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn.files import TrainedExits, load_exits, save_exits
from orxe_plugins.esn.network import ExitNetwork, NetworkShape
from orxe_plugins.experts import adapters
from orxe_plugins.experts.checkpoints import read_state_dict
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, Promise
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.loading import load_records
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.records.recorder import record
from orxe_plugins.records.store import RecordStore
from orxe_plugins.run.experts_file import read_experts_file
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.tasks.classification import Classification
from orxe_plugins.training.gate_files import _read_index
from orxe_plugins.util.json_files import read_json

VIEW = ImageView((8, 8), 8)


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        make: writes a good example into a folder and gives the file that is to be spoiled.
        read: reads what is in the folder, whole.
        values: whether the file holds JSON or YAML, whose values can be changed one by one: "json", "yaml" or "".
        paths: whether values may become paths; a data file of YOLO may name folders elsewhere, as for Ultralytics.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    values: str = ""
    paths: bool = True


def _expert(name: str, **options: Any) -> ClassifierExpert:
    torch.manual_seed(len(name))
    return ClassifierExpert(name, nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), view=VIEW, num_classes=3, cost=1.0)


def register() -> None:
    """The adapter ``made``, whose experts are a layer each and run nothing; frameworks that files name are imported.

    What an installed package does when it is imported is not what reading a file does.
    """
    module: Any = SimpleNamespace(load_expert=_expert, risks=lambda name, options: ())
    sys.modules["orxe_fuzz_adapter"] = module
    adapters._REGISTERED["made"] = "orxe_fuzz_adapter"
    for name in ("timm", "torchvision", "ultralytics", "mmdet"):
        with contextlib.suppress(ImportError, OrxeError):
            adapters.load_adapter(name)


def _table() -> dict[str, Any]:
    rows = tuple(PolicyRow(p, Policy((p,), (0.1,)), cost=1 + p, score=0.5 + p / 4) for p in (0.0, 0.5, 1.0))
    promise = Promise(0.1, 0.9, 10, 2, rows[:1], (0.01,), (0.02,), "test")
    return PolicyTable(
        rows, "GMACs", 2.0, 0.75, 10, {"fitted_on": {"path": "originals"}}, rows, rows[:1], (3, 4), (promise,)
    ).to_dict()


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _image(path: Path, seed: int = 0, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (16, 16, 3) if mode == "RGB" else (16, 16)
    Image.fromarray(rng.integers(0, 3 if mode == "L" else 255, shape, dtype=np.uint8)).save(path)
    return path


def _all(dataset: Any) -> None:
    for i in range(min(len(dataset), 4)):
        try:
            dataset.load(i)
        except BadSampleError:
            continue


def _cascade(folder: Path) -> Path:
    experts = [
        {"address": "made:a?x=1", "name": "a", "cost": 1.0, "confidence": {"kind": "max_softmax"}},
        {"address": "made:bb", "options": {"y": [1, 2]}, "needs": None, "shared_cost": 0.5, "checkpoint": "w.pth"},
    ]
    _write(folder / "w.pth", "")
    content = {"schema_version": 1, "task": "classification", "path": "originals", "experts": experts,
               "input_view": VIEW.to_dict(), "labels": ["x", "y", "z"], "table": _table()}  # fmt: skip
    return _write(folder / "cascade.json", json.dumps(content, indent=1))


def _recipe(folder: Path) -> Path:
    _image(folder / "images" / "a" / "0.png")
    content = {
        "name": "r",
        "task": "classification",
        "data": {"root": "{recipe}/images", "limit": 5, "split": {"fit": 0.5, "choose": 0.2, "seed": 1}},
        "experts": [{"name": "s", "address": "made:s", "options": {"a": 1}}, "made:t?x=2"],
        "preferences": {"start": 0, "stop": 1, "step": 0.25},
        "record": {"batch_size": 4, "shard_size": 7, "keep": "top5"},
        "gates": {"epochs": 3, "hidden": 4},
        "promise": [{"max_drop": 0.1, "confidence": 0.9}],
        "confidence": {"kind": "max_softmax"},
    }
    return _write(folder / "recipe.yaml", yaml.safe_dump(content, sort_keys=False))


def _experts(folder: Path) -> Path:
    content = {"experts": [{"timm": "resnet18", "checkpoint": "a.pth", "input_size": 224, "mean": [0.5, 0.4, 0.3]},
                           {"address": "made:x", "name": "x", "published": {"top1": 70.1}, "cost": 2.5}]}  # fmt: skip
    return _write(folder / "experts.yaml", yaml.safe_dump(content))


def _records(folder: Path) -> Path:
    for i in range(6):
        _image(folder / "images" / "abc"[i % 3] / f"{i}.png", i)
    options = RecordOptions(shard_size=4, batch_size=2, keep="top5", workers=0)
    pool = [_expert("one"), _expert("other")]
    record(pool, ImageFolder(folder / "images"), folder / "records", task=Classification(), options=options)
    return folder / "records"


def _load_records(folder: Path) -> None:
    records = load_records(folder / "records")
    np.asarray(records.confidence)
    for column in records.predictions.values():
        np.asarray(column)


def _load_shards(folder: Path) -> None:
    store = RecordStore(folder / "records")
    for name in store.experts():
        for index in range(2):
            store.read(name, store.column_names(name, index), index)
    _load_records(folder)


def _expert_json(folder: Path) -> Path:
    return next(_records(folder).glob("experts/*/expert.json"))


def _shard(folder: Path) -> Path:
    return next(_records(folder).glob("experts/*/shard-00000.parquet"))


def _coco(folder: Path) -> Path:
    _image(folder / "images" / "a.png")
    _image(folder / "images" / "b.png", 1)
    boxes: list[dict[str, Any]] = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 5, 6.5], "area": 30, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 3, "segmentation": [[1, 1, 5, 1, 5, 5]]},
        {"id": 3, "image_id": 2, "category_id": 1, "segmentation": {"size": [16, 16], "counts": "0a2b3"}},
        {"id": 4, "image_id": 2, "category_id": 1, "segmentation": {"size": [16, 16], "counts": [3, 5, 8]}},
    ]
    content = {
        "images": [{"id": i, "file_name": f"{n}.png", "width": 16, "height": 16} for i, n in ((1, "a"), (2, "b"))],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog", "supercategory": "pet"}],
        "annotations": boxes,
    }
    return _write(folder / "instances.json", json.dumps(content))


def _yolo(folder: Path) -> Path:
    for i, split in enumerate(("train", "val")):
        _image(folder / "images" / split / "a.png", i)
        _write(folder / "labels" / split / "a.txt", "0 0.5 0.5 0.25 0.25\n1 0.2 0.2 0.1 0.1\n")
    content = {"path": ".", "train": "images/train", "val": "images/val", "nc": 2, "names": {0: "cat", 1: "dog"}}
    return _write(folder / "data.yaml", yaml.safe_dump(content))


def _yolo_labels(folder: Path) -> Path:
    _yolo(folder)
    return folder / "labels" / "val" / "a.txt"


def _yolo_list(folder: Path) -> Path:
    _yolo(folder)
    _write(folder / "data.yaml", "names: [cat, dog]\ntrain: list.txt\nval: list.txt\n")
    return _write(folder / "list.txt", "images/val/a.png\n./images/train/a.png\n")


def _class_map(folder: Path) -> Path:
    for i, name in enumerate("abc"):
        _image(folder / name / "0.png", i)
    return _write(folder / "synsets.txt", "a 0\nb 1\nc 2\nd 3\n")


def _targets(folder: Path) -> Path:
    for i in range(3):
        _image(folder / f"{i}.png", i)
    return _write(folder / "targets.csv", "image,x,y\n0.png,1.5,2\n1.png,0,-1e3\n2.png,7,8\n")


def _masks(folder: Path) -> Path:
    _image(folder / "images" / "a.png")
    return _image(folder / "masks" / "a.png", 1, "L")


def _gate(folder: Path) -> Path:
    save_gate(GateNet(6, 4), "logits", folder / "gate.safetensors")
    return folder / "gate.safetensors"


def _exits(folder: Path) -> Path:
    shape = NetworkShape((1, 2), (8, 16), 3, saver_width=8)
    save_exits(TrainedExits(ExitNetwork(shape), "base", "saver"), folder / "exits.safetensors")
    return folder / "exits.safetensors"


def _pickled(folder: Path) -> Path:
    torch.save({"state_dict": {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}}, folder / "w.pth")
    return folder / "w.pth"


def _safetensors(folder: Path) -> Path:
    save_file({"a.weight": torch.zeros(2, 3)}, folder / "w.safetensors")
    return folder / "w.safetensors"


def _latency(folder: Path) -> Path:
    LatencyTable((1, 4), {"a": (1.0, 2.0), "b": (3.0, 4.5)}, {"device": "cpu"}).save(folder / "latency.json")
    return folder / "latency.json"


FORMATS: dict[str, Format] = {
    "cascade.json": Format(_cascade, lambda folder: cascade_of(read_cascade(folder)), "json"),
    "policy table": Format(lambda folder: _write(folder / "table.json", json.dumps(_table())),
                           lambda folder: PolicyTable.from_dict(read_json(folder / "table.json")), "json"),
    "recipe": Format(_recipe, lambda folder: load_recipe(folder / "recipe.yaml", out=folder / "out"), "yaml"),
    "experts file": Format(_experts, lambda folder: read_experts_file(folder / "experts.yaml"), "yaml"),
    "dataset.json": Format(lambda folder: _records(folder) / "dataset.json", _load_records, "json"),
    "expert.json": Format(_expert_json, _load_records, "json"),
    "shard": Format(_shard, _load_shards),
    "latency.json": Format(_latency, lambda folder: LatencyTable.load(folder / "latency.json"), "json"),
    "gate": Format(_gate, lambda folder: RankingGate(folder / "gate.safetensors")),
    "gates.json": Format(lambda folder: _write(folder / "gates.json", '{"a": {"file": "g.safetensors", "mark": "x"}}'),
                         _read_index, "json"),
    "exits": Format(_exits, lambda folder: load_exits(folder / "exits.safetensors")),
    "COCO": Format(_coco, lambda folder: _all(CocoDataset(folder)), "json"),
    "YOLO data file": Format(_yolo, lambda folder: _all(YoloFiles.from_root(folder / "data.yaml")), "yaml", False),
    "YOLO labels": Format(_yolo_labels, lambda folder: _all(YoloFiles.from_root(folder / "data.yaml"))),
    "YOLO list": Format(_yolo_list, lambda folder: _all(YoloFiles.from_root(folder / "data.yaml"))),
    "class map": Format(_class_map, lambda folder: _all(ImageFolder(folder))),
    "targets.csv": Format(_targets, lambda folder: _all(table_of_images(folder))),
    "mask": Format(_masks, lambda folder: _all(images_with_masks(folder))),
    "image": Format(lambda folder: _image(folder / "a.png"), lambda folder: read_image(folder / "a.png")),
    "weights.pth": Format(_pickled, lambda folder: read_state_dict(folder / "w.pth")),
    "weights.safetensors": Format(_safetensors, lambda folder: read_state_dict(folder / "w.safetensors")),
}  # fmt: skip

__all__ = ["FORMATS", "Format", "OrxeError", "register"]
