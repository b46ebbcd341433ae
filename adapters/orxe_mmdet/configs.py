"""mmdet's configs: found by path or by name, with the projects of a checkout, without downloads of backbones."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mmdet
import yaml
from mmdet.registry import DATASETS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config

from orxe_plugins.errors import OrxeError, unknown


def find_config(name: str, repo: str | Path | None = None) -> Path:
    """The config file that an expert's name means.

    Args:
        name: a file, a file relative to ``repo``, or a model's name, which is its config's file name
            without ``.py``, such as ``rtmdet_tiny_8xb32-300e_coco``.
        repo: a checkout of mmdetection whose configs and projects are known too.

    Raises:
        OrxeError: nothing of that name is there, or ``repo`` is no checkout of mmdetection.
    """
    local = local_config(name, repo)
    if local is not None:
        return local
    known = {path.stem: path for folder in _folders(repo) for path in folder.rglob("*.py") if _is_model(path)}
    if Path(name).suffix:
        hint = "" if repo is not None else "; a path inside a checkout of mmdetection needs repo=CHECKOUT"
        raise OrxeError(f"mmdet config {name!r} does not exist{hint}")
    if name not in known:
        raise unknown("mmdet config", name, known)
    return known[name]


def local_config(name: str, repo: str | Path | None = None) -> Path | None:
    """The config file that a name means in the working folder or in a checkout, before any that mmdet ships."""
    roots = [Path.cwd(), *([_checkout(repo)] if repo is not None else [])]
    return next((root / name for root in roots if name and (root / name).is_file()), None)


def load_config(path: Path, repo: str | Path | None = None, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a config; its ``custom_imports`` are imported, from ``repo`` where they are not installed.

    Args:
        path: the file.
        repo: a checkout of mmdetection, for configs of its ``projects``, such as Co-DETR.
        cfg_options: values to set, by dotted keys, as ``--cfg-options`` of mmdet's tools takes them. A list
            becomes a tuple where the config has one: recipes know no tuples, and mmcv takes no list for a size.

    Returns:
        The config without any mention of pretrained backbones: the expert's checkpoint holds them.
    """
    if repo is not None:
        use_checkout(repo)
    try:
        cfg = Config.fromfile(str(path))
    except ImportError as error:
        way_out = "give repo=CHECKOUT of mmdetection" if repo is None else f"is it in the checkout {str(repo)!r}?"
        raise OrxeError(f"mmdet config {str(path)!r} imports what is not installed: {error}; {way_out}") from error
    if cfg_options:
        cfg.merge_from_dict({key: _of_the_same_kind(cfg, key, value) for key, value in cfg_options.items()})
    if "model" not in cfg or "test_dataloader" not in cfg:
        raise OrxeError(f"mmdet config {str(path)!r} has no model or no test_dataloader: it is not a detector's config")
    _drop_pretrained(cfg.model)
    return cfg


def _of_the_same_kind(cfg: Config, key: str, value: Any) -> Any:
    """A list as a tuple, if that is what the config has at this dotted key."""
    old: Any = cfg
    for part in key.split("."):
        try:
            old = old[int(part)] if isinstance(old, (list, tuple)) else old[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return value  # a new key
    return tuple(value) if isinstance(old, tuple) and isinstance(value, list) else value


def pretrained_url(path: Path) -> str:
    """Where the weights of a config's model can be downloaded, out of the metafile beside the config.

    Raises:
        OrxeError: there is no metafile, or it names no weights.
    """
    metafile = path.parent / "metafile.yml"
    models = yaml.safe_load(metafile.read_text(encoding="utf-8"))["Models"] if metafile.is_file() else []
    for model in models:
        if Path(model.get("Config", "")).name == path.name and model.get("Weights"):
            return str(model["Weights"])
    raise OrxeError(f"no weights are known for mmdet config {path.name!r}: name a checkpoint instead of 'pretrained'")


def test_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """The config's test pipeline, beginning with an image in memory instead of a file, without annotations."""
    steps = []
    for step in get_test_pipeline_cfg(cfg):
        name = type_name(step)
        if name == "LoadImageFromFile":
            steps.append({"type": "mmdet.LoadImageFromNDArray", "to_float32": step.get("to_float32", False)})
        elif not name.startswith("Load"):
            steps.append(dict(step))
    if not steps or steps[0]["type"] != "mmdet.LoadImageFromNDArray":
        raise OrxeError("the test pipeline does not begin with LoadImageFromFile: the expert cannot prepare an image")
    return steps


def dataset_classes(cfg: Config) -> tuple[str, ...]:
    """Class names of the config's test data set; the data itself is not read."""
    dataset = cfg.test_dataloader.dataset
    while "dataset" in dataset or "datasets" in dataset:
        dataset = dataset.get("dataset") or dataset.datasets[0]
    lazy = {**dataset, "lazy_init": True, "pipeline": []}
    return tuple(DATASETS.build(lazy).metainfo.get("classes", ()))


def use_checkout(repo: str | Path) -> None:
    """Let this process import the ``projects`` of a checkout of mmdetection, by ``sys.path``.

    Raises:
        OrxeError: ``repo`` is no checkout.
    """
    folder = str(_checkout(repo))
    if folder not in sys.path:
        # At the end: a checkout has a package mmdet of its own, and folders called tools and tests.
        sys.path.append(folder)


def _checkout(repo: str | Path) -> Path:
    folder = Path(repo).expanduser().resolve()
    if not (folder / "configs").is_dir() and not (folder / "projects").is_dir():
        raise OrxeError(
            f"repo is {str(repo)!r}: expected a checkout of mmdetection, a folder with configs/ and projects/ "
            "(git clone https://github.com/open-mmlab/mmdetection)"
        )
    return folder


def _folders(repo: str | Path | None) -> Iterator[Path]:
    """Folders with configs, those that win last."""
    package = Path(mmdet.__file__).parent
    yield package.parent / "configs"  # an mmdet that was installed from a checkout in place
    yield package / ".mim" / "configs"
    if repo is not None:
        yield _checkout(repo) / "projects"
        yield _checkout(repo) / "configs"


def _is_model(path: Path) -> bool:
    """Whether a Python file may be a config of a model, and not a part of one or a project's code."""
    return "_base_" not in path.parts and ("configs" in path.parts)


def type_name(step: Mapping[str, Any]) -> str:
    """Name of the class that a config's part is built of, without a scope."""
    kind = step["type"]
    return str(kind).rpartition(".")[2] if isinstance(kind, str) else kind.__name__


def _drop_pretrained(part: Any) -> None:
    """Remove every ``init_cfg`` that would download weights, at any depth."""
    if isinstance(part, dict):
        init = part.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            part["init_cfg"] = None
        elif isinstance(init, (list, tuple)):
            part["init_cfg"] = [one for one in init if one.get("type") != "Pretrained"]
        for value in part.values():
            _drop_pretrained(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            _drop_pretrained(value)
