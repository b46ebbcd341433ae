"""Run any script with the adapters' models registered."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.registry import adapter_names, load_adapter


def register_adapters() -> tuple[str, ...]:
    """Import every adapter whose framework is installed, which registers its models.

    Returns:
        Names of the adapters that were imported.
    """
    imported = []
    for name in adapter_names():
        try:
            load_adapter(name)
        except ImportError:
            continue
        imported.append(name)
    return tuple(imported)


def run_script(script: Path, arguments: Sequence[str]) -> None:
    """Run ``script`` as if by ``python script arguments``, after importing the adapters.

    Args:
        script: a Python file, or the name of an installed command that is written in Python.
        arguments: the script's own arguments.

    Raises:
        OrxeError: there is no such file or command.
    """
    path = script if script.is_file() else Path(shutil.which(str(script)) or script)
    if not path.is_file():
        raise OrxeError(f"no script at {str(script)!r}: give the path of a Python file")
    register_adapters()
    before = sys.argv, sys.path[:]
    sys.argv = [str(path), *arguments]
    # As Python itself does: the script can import files of its own folder.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before
