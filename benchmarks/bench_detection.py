"""A cascade of two real COCO detectors: each framework's own evaluation beside records, which run no model.

Writes detection.json and detection.md beside this file. The data folder holds coco_sample/ (images, labels/ and
instances.json) and coco_experts/ with two YOLO files; everything can be named.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
import ultralytics
import yaml
from detection_markdown import to_markdown
from PIL import Image
from ultralytics import YOLO
from ultralytics.utils import LOGGER

import orxe_torchvision  # noqa: F401  registers the model
from orxe_plugins import Policy, Records, load_expert, replay
from orxe_plugins.detection import CocoDataset, RoutedAP, calibration_effect, match_detections
from orxe_plugins.detection.detections import Detections
from orxe_plugins.records import RecordOptions, record
from orxe_plugins.tasks import task_named
from orxe_plugins.tasks.detection import recorded_matches
from orxe_ultralytics import CascadeYOLO, RoutedVal, YoloDataset

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Measure, print the tables, and write them."""
    options = _options()
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    LOGGER.setLevel(logging.ERROR)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(options, Path(name))
        result = {
            "about": bench.about(),
            "ends": bench.ends(),
            "curve": bench.curve(options.thresholds),
            "fronts": bench.fronts(options.front_threshold),
            "calibration": bench.calibration(options.front_threshold),
        }
    result["about"]["seconds"] = round(time.perf_counter() - start)
    text = to_markdown(result)
    print(text)
    (options.out / "detection.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.out / "detection.md").write_text(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: python benchmarks/bench_detection.py --data D"
    )
    data = ROOT.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data, help="folder with coco_sample/ and coco_experts/")
    parser.add_argument("--experts", nargs=2, default=["yolov8n_dequantised.pt", "yolo11n_dequantised.pt"])
    parser.add_argument("--imgsz", nargs=2, type=int, default=[320, 640])
    parser.add_argument("--thresholds", nargs="+", type=float, default=[0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5])
    parser.add_argument("--front-threshold", type=float, default=0.3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT, help="folder of the results")
    return parser.parse_args()


class Bench:
    """The two experts, the data and their records.

    Args:
        options: the command line's.
        folder: where copies and records go; Ultralytics writes its label cache beside the labels.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.folder, self.batch = folder, options.batch
        self.files = [options.data / "coco_experts" / name for name in options.experts]
        self.sizes = options.imgsz
        self.data = _copy_data(options.data / "coco_sample", folder / "data")
        self.addresses = [f"ultralytics:{file}?imgsz={size}" for file, size in zip(self.files, self.sizes, strict=True)]
        self.names = [
            f"{file.stem.partition('_')[0]}@{size}" for file, size in zip(self.files, self.sizes, strict=True)
        ]
        self.model = CascadeYOLO(experts=self.addresses, exit_thresholds=[0.5])
        self.samples = YoloDataset(self.data)
        self.records = self._record("unclipped", "&clip=false", self.samples)
        self.routed_val = RoutedVal(self.records.predictions, self.samples.targets)
        self.coco = CocoDataset(folder / "data")
        self.coco_records = self._record("coco", "", self.coco)
        self.matches = recorded_matches(self.coco_records.predictions, self.coco.targets)
        self.routed_ap = RoutedAP(self.matches)

    def _record(self, name: str, more: str, samples: Any) -> Records:
        experts = [load_expert(address + more) for address in self.addresses]
        options = RecordOptions(batch_size=self.batch, workers=1)
        return record(experts, samples, self.folder / name, task=task_named("detection"), options=options)

    def _val(self, model: Any, **options: Any) -> Any:
        common = {"data": str(self.data), "batch": self.batch, "plots": False, "verbose": False, "workers": 0}
        return model.val(**common, rect=False, project=self.folder / "runs", **options)

    def about(self) -> dict[str, Any]:
        """What the figures were measured with."""
        boxes = sum(len(target) for target in self.samples.targets)
        return {
            "images": len(self.samples),
            "boxes": boxes,
            "experts": self.names,
            "gmacs": self.coco_records.cost.tolist(),
            "batch": self.batch,
            "versions": {part.__name__: part.__version__ for part in (torch, torchvision, ultralytics)},
            "threads": torch.get_num_threads(),
        }

    def ends(self) -> list[dict[str, Any]]:
        """Ultralytics' val of the cascade at both ends beside that of the models alone."""
        rows = []
        for i, (what, policy) in enumerate((("0", Policy((0.0,))), ("never", Policy((None,))))):
            self.model.policy = policy
            cascade, alone = self._val(self.model), self._val(YOLO(self.files[i]), imgsz=self.sizes[i])
            rows.append(
                {"threshold": what, "expert": self.names[i], "cascade": cascade.box.map, "alone": alone.box.map}
            )
        return rows

    def curve(self, thresholds: Sequence[float]) -> list[dict[str, Any]]:
        """Ultralytics' val of the cascade beside its replay on records, and COCO's AP with its uncertainty."""
        rows = []
        never, rng = np.full(len(self.coco), 1), np.random.default_rng(0)
        for threshold in (0.0, *thresholds, None):
            policy = Policy((threshold,))
            self.model.policy = policy
            routed = self._val(self.model)
            replayed = replay(self.records, policy)
            of_coco = replay(self.coco_records, policy).expert
            one, last = self.routed_ap.resampled(np.stack([of_coco, never]), 1000)
            low, high = np.quantile(one - last, [0.025, 0.975])
            rows.append(
                {
                    "threshold": threshold,
                    "gmacs": float(routed.orxe_route.cost.mean()),
                    "gmacs_replayed": replayed.cost,
                    "answered_by_first": float((routed.orxe_route.expert == 0).float().mean()),
                    "val": routed.box.map,
                    "val_replayed": self.routed_val(replayed.expert).box.map,
                    "coco_ap": self.routed_ap(of_coco).ap,
                    "coco_ap_less_last": [float(low), float(high)],
                    "coco_ap_at_random": float(
                        np.mean([self.routed_ap(rng.permutation(of_coco)).ap for _ in range(100)])
                    ),
                }
            )
        return rows

    def fronts(self, threshold: float) -> dict[str, Any]:
        """The same cascade through mmdet and torchvision, beside records."""
        policy = Policy((threshold,))
        routing = replay(self.coco_records, policy).expert
        of_records = _recorded(self.coco_records, routing, self.coco.names)
        of_torchvision = self._through_torchvision(threshold)
        result: dict[str, Any] = {
            "threshold": threshold,
            "records": self.routed_ap(routing).ap,
            "torchvision": RoutedAP([match_detections(of_torchvision, self.coco.targets)])(routing * 0).ap,
            "torchvision_box_difference": _largest_difference(of_torchvision, of_records),
        }
        result |= self._through_mmdet(threshold, of_records)
        return result

    @torch.inference_mode()
    def _through_torchvision(self, threshold: float) -> list[Detections]:
        model = torchvision.models.get_model(
            "orxe_metamodel_detection", experts=self.addresses, exit_thresholds=[threshold]
        )
        label_of = {name: i for i, name in enumerate(self.coco.names)}
        found = []
        for i in range(len(self.coco)):
            pixels = np.array(self.coco.load(i))
            (answer,) = model([torch.from_numpy(pixels).permute(2, 0, 1) / 255])
            labels = torch.tensor([label_of[model.categories[k]] for k in answer["labels"].tolist()], dtype=torch.int64)
            found.append(Detections(answer["boxes"], answer["scores"], labels, self.coco.names))
        return found

    def _through_mmdet(self, threshold: float, of_records: Sequence[Detections]) -> dict[str, Any]:
        import orxe_mmdet  # isort: skip  before mmdet.apis: mmcv may have no compiled ops
        from mmdet.apis import DetInferencer, inference_detector
        from mmengine.config import Config
        from mmengine.runner import Runner

        root = self.folder / "data"
        cfg = Config.fromstring('_base_ = ["mmdet::_base_/default_runtime.py"]\n', ".py")
        dataset = {
            "type": "CocoDataset",
            "data_root": str(root),
            "ann_file": "instances.json",
            "data_prefix": {"img": "images/"},
            "test_mode": True,
            "pipeline": [dict(step) for step in orxe_mmdet.TEST_PIPELINE],
        }
        cfg.model = {
            "type": "CascadeDetector",
            "experts": self.addresses,
            "exit_thresholds": [threshold],
            "backbone": {},
        }
        cfg.test_cfg = {"type": "TestLoop"}
        cfg.test_evaluator = [
            {"type": "CocoMetric", "ann_file": str(root / "instances.json"), "metric": "bbox"},
            {"type": "CascadeCost"},
        ]
        cfg.log_level, cfg.work_dir = "ERROR", str(self.folder / "work")
        found = {}
        for batch_size in (1, 3):
            cfg.test_dataloader = {
                "batch_size": batch_size,
                "num_workers": 0,
                "sampler": {"type": "DefaultSampler", "shuffle": False},
                "dataset": dataset,
            }
            cfg.experiment_name = f"batch_{batch_size}"
            runner = Runner.from_cfg(cfg)
            metrics = runner.test()
            found[f"mmdet_batch_{batch_size}"] = metrics["coco/bbox_mAP"]
            found[f"mmdet_batch_{batch_size}_gmacs"] = metrics["cascade/cost"]
        model = runner.model
        model.cfg = cfg
        paths = [str(root / "images" / name) for name in self.coco.sample_ids[:12]]
        arrays = [np.array(Image.open(path).convert("RGB"))[..., ::-1].copy() for path in paths]
        of_paths = [_of_sample(sample, self.coco.names) for sample in inference_detector(model, paths)]
        found["mmdet_box_difference"] = _largest_difference(of_paths, of_records[: len(paths)])
        checkpoint = model.save_checkpoint(self.folder / "cascade.pth")
        inferencer = DetInferencer(cfg, str(checkpoint), device="cpu", show_progress=False)
        both = [
            inferencer(images, return_datasamples=True, no_save_vis=True)["predictions"] for images in (paths, arrays)
        ]
        pairs = [[_of_sample(sample, self.coco.names) for sample in samples] for samples in both]
        found["mmdet_path_and_array_difference"] = _largest_difference(*pairs)
        return found

    def calibration(self, threshold: float) -> list[dict[str, Any]]:
        """AP with raw and with calibrated scores, each fitted on a random half and reported on the other."""
        routing = replay(self.coco_records, Policy((threshold,))).expert
        half = np.random.default_rng(0).permutation(len(routing)) % 2 == 0
        rows = []
        for kind in ("isotonic", "platt"):
            effect = calibration_effect(self.matches, routing, half, kind, n_resamples=1000)
            rows.append({"kind": kind, "raw": effect.raw, "calibrated": effect.calibrated, "interval": effect.interval})
        return rows


def _copy_data(source: Path, target: Path) -> Path:
    for name in ("images", "labels"):
        shutil.copytree(source / name, target / name)
    shutil.copy(source / "instances.json", target)
    content = yaml.safe_load((source / "coco_sample.yaml").read_text())
    (target / "data.yaml").write_text(yaml.safe_dump({**content, "path": str(target)}))
    return target / "data.yaml"


def _recorded(records: Records, routing: np.ndarray, names: tuple[str, ...]) -> list[Detections]:
    columns = [records.predictions[part] for part in ("boxes", "scores", "labels")]
    rows = [[np.asarray(column[expert][i]) for column in columns] for i, expert in enumerate(routing)]
    tensors = [[torch.from_numpy(part.copy()) for part in row] for row in rows]
    return [Detections(boxes.reshape(-1, 4), scores, labels.long(), names) for boxes, scores, labels in tensors]


def _of_sample(sample: Any, names: tuple[str, ...]) -> Detections:
    found = sample.pred_instances
    return Detections(found.bboxes, found.scores, found.labels, names)


def _largest_difference(found: Sequence[Detections], expected: Sequence[Detections], least: float = 0.05) -> float:
    """Largest distance in pixels between boxes above a score and the nearest box of their label on the other side."""
    largest = 0.0
    for one, other in zip(found, expected, strict=True):
        for a, b in ((one, other), (other, one)):
            a = a.above(least)
            for k in range(len(a)):
                same = b.boxes[b.labels == a.labels[k]]
                distance = (same - a.boxes[k]).abs().amax(dim=1).min() if len(same) else torch.tensor(float("inf"))
                largest = max(largest, float(distance))
    return largest


if __name__ == "__main__":
    main()
