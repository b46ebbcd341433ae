"""What an Ultralytics expert runs or fetches beside the models of Ultralytics' own names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import ultralytics
from ultralytics.utils.checks import check_yolov5u_filename
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

from orxe_plugins.experts.risks import is_address
from orxe_plugins.util.files import is_there
from orxe_plugins.util.trust import Risk, remember

_YAML = (".yaml", ".yml")


def risks(name: str, options: Mapping[str, Any]) -> Iterator[Risk]:
    """What :func:`orxe_ultralytics.load_expert` with these arguments would run, fetch or read.

    A file of that name in the working folder goes before the model that Ultralytics has under it.
    """
    source = str(options.get("checkpoint") or name)
    local = list(local_files(source))
    for path in local:
        yield Risk.of_path(f"{_does(path)} {str(path)!r}, which can run any code in it", path)
    if is_address(source):
        yield Risk.of_text(f"fetches {source!r} and runs what it holds", source)
    elif not local and source not in own_names():
        yield Risk.of_text(f"takes {source!r}, which is no name of Ultralytics' own", source)


def local_files(source: str) -> Iterator[Path]:
    """The files that Ultralytics would take for ``source`` before it looks for a model of its own."""
    named = [source, check_yolov5u_filename(source, verbose=False)]
    if not Path(source).suffix:
        named += [f"{each}.pt" for each in named]
    if source in own_names():
        named.append(f"{Path(source).stem}.yaml")  # the architecture, for a model without its weights
    described = [each for each in named if Path(each).suffix in _YAML]
    named += [re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", each) for each in described]
    named += [re.sub(r"(\d+)([nslmx])6(.+)?$", r"\1\2-p6\3", each) for each in described]
    for each in dict.fromkeys(named):
        # Longer names than a file can have are no files.
        if len(each) < 4096 and "\0" not in each and is_there(Path(each)):
            yield Path(each)


@cache
def own_names() -> frozenset[str]:
    """Names of Ultralytics' own models, and of the ``.yaml`` files that come with it."""
    assets = {*GITHUB_ASSETS_NAMES, *(Path(asset).stem for asset in GITHUB_ASSETS_NAMES)}
    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    shipped = {file.name for file in folder.rglob("*.yaml")}
    # Ultralytics reads the size of a model out of its name: yolov8n.yaml is yolov8.yaml with the size n.
    sized = {re.sub(r"^(\D*\d+)(.*)$", rf"\1{size}\2", each) for each in shipped for size in "nslmx"}
    return frozenset({*assets, *shipped, *sized})


def remember_fetched(source: str) -> None:
    """Trust the file that Ultralytics itself has just put into the working folder for a name of its own."""
    if source in own_names():
        remember(risk for risk in risks(source, {}) if risk.path is not None and risk.path.suffix == ".pt")


def _does(path: Path) -> str:
    return "unpickles" if path.suffix == ".pt" else "runs the model in"
