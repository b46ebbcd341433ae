"""Python files that a user wrote, beside a recipe or named on the command line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from orxe_plugins.errors import OrxeError


def import_file(path: Path, name: str, owner: str, role: str) -> ModuleType:
    """A Python file as a module; it is run once in a process.

    Args:
        path: the file.
        name: of the module.
        owner, role: what names the file, and as what: both for the error message.

    Raises:
        OrxeError: there is no such Python file, or it needs a package that is not installed.
    """
    if name in sys.modules and sys.modules[name].__file__ == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise OrxeError(f"{owner} names {str(path)!r} as its {role}, which is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, ModuleNotFoundError):
            raise
        raise OrxeError(
            f"{owner} needs the Python package {error.name!r}, which is not installed. "
            'Install it, or all that the recipes of this project need with\npip install "orxe-plugins[all]"'
        ) from error
    return module
