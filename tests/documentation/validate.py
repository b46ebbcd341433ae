"""A stand-in for timm's validate.py, which is in no wheel: the same arguments and the same calls."""

import argparse

import torch
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.models import create_model
from timm.utils import ParseKwargs, accuracy

parser = argparse.ArgumentParser()
parser.add_argument("--data-dir")
parser.add_argument("--model")
parser.add_argument("--class-map", default="")
parser.add_argument("--model-kwargs", nargs="*", default={}, action=ParseKwargs)
args = parser.parse_args()
model = create_model(args.model, pretrained=True, **args.model_kwargs).eval()
config = resolve_data_config({}, model=model, use_test_size=True)
mode = "RGB" if config["input_size"][0] == 3 else "L"
dataset = create_dataset("", root=args.data_dir, split="validation", class_map=args.class_map, input_img_mode=mode)
loader = create_loader(
    dataset,
    config["input_size"],
    4,
    use_prefetcher=False,
    num_workers=0,
    mean=config["mean"],
    std=config["std"],
    interpolation=config["interpolation"],
    crop_pct=config["crop_pct"],
)
with torch.inference_mode():
    for images, target in loader:
        print(accuracy(model(images), target)[0])
