"""Two detectors of MMDetection as one: python mmdet_detect.py CONFIG@CHECKPOINT CONFIG@CHECKPOINT IMAGES..."""

import sys
from pathlib import Path

import orxe_mmdet  # noqa: F401, before mmdet.apis: it registers the model, and stand-ins where mmcv has no operators
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config


def main(arguments: list[str]) -> None:
    small, large, *images = arguments
    config = Config(
        {
            "default_scope": "mmdet",
            "model": {"type": "CascadeDetector", "experts": [small, large], "exit_thresholds": [0.4], "backbone": {}},
            "test_dataloader": {"dataset": {"pipeline": [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]}},
        }
    )
    model = init_detector(config, device="cpu", palette="random")  # else it asks the data for its colours
    for image in images:
        sample = inference_detector(model, image)
        print(
            f"{Path(image).name}: {len(sample.pred_instances)} boxes by {sample.orxe_expert}, "
            f"confidence {float(sample.orxe_confidence):.2f}, {float(sample.orxe_cost):.3f} GMACs"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
