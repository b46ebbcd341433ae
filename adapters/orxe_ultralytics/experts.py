"""Experts out of everything that Ultralytics loads: ``ultralytics:yolov8n.pt?imgsz=320``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from ultralytics import RTDETR, YOLO
from ultralytics.utils.checks import REMOTE_FILE_PREFIXES
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

from orxe_plugins.errors import OrxeError, check_known, unknown
from orxe_ultralytics.exported import ExportedModel
from orxe_ultralytics.risks import local_files, remember_fetched
from orxe_ultralytics.suppression import DetectSettings
from orxe_ultralytics.yolo import YoloExpert, largest_stride

_BUILT_BY_TORCH = (".pt", ".yaml", ".yml", "")


def load_expert(
    name: str,
    *,
    checkpoint: str | None = None,
    imgsz: int | None = None,
    cost: float | None = None,
    fuse: bool = True,
    dnn: bool = False,
    remap: Mapping[str, str | None] | None = None,
    **options: Any,
) -> YoloExpert:
    """An Ultralytics detector as an expert.

    Args:
        name: a ``.pt`` file, a name that Ultralytics downloads (``yolov8n.pt``), a ``.yaml`` for random
            weights, or an exported file or folder (``yolov8n_openvino_model``, ``yolov8n.onnx``).
        checkpoint: the file to load; ``name`` is then only a label.
        imgsz: length of an image's longer side in pixels, as the model sees it; by default what
            the model was trained or exported with.
        cost: GMACs for one image; counted by default, which an exported model does not allow.
        fuse: fold batch norm into the convolutions, as Ultralytics does before it runs a model.
        dnn: run an ONNX file by OpenCV instead of ONNX Runtime.
        remap: what labels of the model are called in a cascade or a data set; None drops a label.
        **options: conf, iou, max_det, rect, agnostic_nms, multi_label, clip: see
            :class:`orxe_ultralytics.suppression.DetectSettings`.

    Raises:
        OrxeError: there is no such model, it does another task, or an option does not fit it.
    """
    known = (*(load_expert.__kwdefaults__ or ()), *DetectSettings.option_names())
    check_known(f"option of expert 'ultralytics:{name}'", options, known)
    settings = DetectSettings(**options)
    source = checkpoint or name
    label = f"ultralytics:{name}"
    if _is_exported(source):
        exported = _exported(label, source, dnn)
        module: nn.Module = exported
        size = _exported_size(label, exported, imgsz, settings)
    else:
        module, size = _load(label, source, imgsz, fuse)
    task = getattr(module, "task", None)
    if task not in ("detect", None):
        raise OrxeError(f"expert {label!r} is made for task {task!r}: expected an object detector")
    stride = largest_stride(module)
    if isinstance(size, bool) or not isinstance(size, int) or size < stride or size % stride:
        near = max(round(size / stride), 1) * stride if isinstance(size, (int, float)) else 640
        raise OrxeError(f"imgsz of expert {label!r} is {size!r}: expected a multiple of {stride}, such as {near}")
    names = _label_names(label, module)
    expert = YoloExpert(label, module.eval(), names=names, imgsz=size, settings=settings, cost=cost)
    expert.remap = dict(remap or {})
    return expert


def load_untrained(name: str, **options: Any) -> YoloExpert:
    """The same architecture with random weights, out of the ``.yaml`` that Ultralytics ships for a ``.pt`` of its own.

    Raises:
        OrxeError: Ultralytics ships none of that name, as for an exported model.
    """
    source = Path(name)
    if source.suffix not in (".yaml", ".yml"):
        source = Path(f"{source.stem}.yaml")
        if Path(name).suffix not in ("", ".pt") or source.stem not in {
            Path(asset).stem for asset in GITHUB_ASSETS_NAMES
        }:
            raise OrxeError(
                f"expert 'ultralytics:{name}' cannot be built without its file: it is not one of Ultralytics' own"
            )
    return load_expert(str(source), **{**options, "checkpoint": None})


def _load(label: str, source: str, imgsz: int | None, fuse: bool) -> tuple[nn.Module, int]:
    """A torch model and its image size. Its ``.model`` is nested: a YOLO inside a module would train on ``.eval()``."""
    remote = source.lower().startswith(REMOTE_FILE_PREFIXES)
    known = (*GITHUB_ASSETS_NAMES, *(Path(asset).stem for asset in GITHUB_ASSETS_NAMES))
    is_yaml = Path(source).suffix in (".yaml", ".yml")
    if not remote and not is_yaml and not Path(source).exists() and source not in known:
        raise unknown("expert", label, (f"ultralytics:{asset}" for asset in known))
    fetched = not any(local_files(source))
    try:
        # YOLO finds out by itself what a .pt file holds, but not what a .yaml describes.
        model = RTDETR(source) if is_yaml and "rtdetr" in Path(source).stem else YOLO(source)
        if fetched:
            remember_fetched(source)
    except ImportError as error:
        raise _needs(label, error) from error
    # A file that is no model makes Ultralytics raise errors of many kinds.
    except Exception as error:
        raise _not_loaded(label, source, error) from error
    module = model.model
    channels = getattr(module, "yaml", {}).get("channels", 3)
    if channels != 3:
        raise OrxeError(f"expert {label!r} takes images of {channels} channels: expected 3")
    if fuse and hasattr(module, "fuse"):
        module = module.fuse(verbose=False)
    return module, imgsz if imgsz is not None else model.overrides.get("imgsz", 640)


def _exported(label: str, source: str, dnn: bool) -> ExportedModel:
    """The model in an exported file or folder."""
    try:
        return ExportedModel(Path(source), dnn)
    except OrxeError:
        raise
    except ImportError as error:
        raise _needs(label, error) from error
    # Each of a dozen runtimes raises errors of its own where a file is damaged.
    except Exception as error:
        raise _not_loaded(label, source, error) from error


def _not_loaded(label: str, source: str, error: Exception) -> OrxeError:
    if "?" in source:
        return OrxeError(f"expert {label!r}: Ultralytics takes no file with a ? in its path: rename {source!r}")
    missing = f"it has no key {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
    return OrxeError(f"expert {label!r} cannot be loaded from {source!r}: {missing or type(error).__name__}")


def _needs(label: str, error: ImportError) -> ImportError:
    name = error.name or str(error)
    return ImportError(f"expert {label!r} needs {name}, which is not installed. Install it with\npip install {name}")


def _label_names(label: str, module: nn.Module) -> tuple[str, ...]:
    names: Any = getattr(module, "names", None)
    if not isinstance(names, dict) or sorted(names) != list(range(len(names))):
        raise OrxeError(f"expert {label!r} has label names {names!r:.200}: expected a name for each of 0, 1, 2, ...")
    return tuple(str(names[i]) for i in range(len(names)))


def _is_exported(source: str) -> bool:
    return Path(source).suffix not in _BUILT_BY_TORCH or Path(source).is_dir()


def _exported_size(label: str, module: ExportedModel, imgsz: int | None, settings: DetectSettings) -> int:
    fixed = module.fixed_size
    if fixed is None:
        return imgsz if imgsz is not None else 640
    if imgsz not in (None, fixed) or settings.rect:
        raise OrxeError(
            f"expert {label!r} was exported for squares of {fixed} pixels: give imgsz={fixed} and rect=false, "
            "or export it with dynamic=True"
        )
    return fixed
