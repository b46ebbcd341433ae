"""``python -m orxe_mmdet``: writes files that mmdet's tools read."""

from __future__ import annotations

import argparse

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from orxe_mmdet.cascade_detector import CascadeDetector
from orxe_mmdet.checkpoints import convert_checkpoint
from orxe_plugins.errors import OrxeError


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(prog="python -m orxe_mmdet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    convert = commands.add_parser("convert", help="weights and class names of a checkpoint, as safetensors")
    convert.add_argument("source", help="a checkpoint file or its address")
    convert.add_argument("target", help="the .safetensors file to write")
    convert.add_argument("--trust-checkpoint", action="store_true", help="unpickle it in full, which may run its code")
    checkpoint = commands.add_parser("checkpoint", help="the checkpoint of a cascade's config, for tools/test.py")
    checkpoint.add_argument("config", help="a config with a CascadeDetector")
    checkpoint.add_argument("target", help="the .pth file to write")
    args = parser.parse_args()
    try:
        if args.command == "convert":
            print(convert_checkpoint(args.source, args.target, args.trust_checkpoint))
        else:
            print(_write_checkpoint(args.config, args.target))
    except OrxeError as error:
        parser.error(str(error))


def _write_checkpoint(config: str, target: str) -> str:
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(cfg.model)
    if not isinstance(model, CascadeDetector):
        raise OrxeError(f"the model of {config!r} is a {type(model).__name__}: expected a CascadeDetector")
    return str(model.save_checkpoint(target))


if __name__ == "__main__":
    main()
