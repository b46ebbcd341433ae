"""What has nothing to do with models: files, progress, registries, lazy imports, messages of validation."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.util.files import (
        distinct_name,
        remove_leftovers,
        safe_name,
        write_atomically,
        write_json,
        write_text,
    )
    from orxe_plugins.util.progress import Progress, Silent
    from orxe_plugins.util.python_files import import_file
    from orxe_plugins.util.registry import Registry
else:
    _PLACES = {
        "Progress": "orxe_plugins.util.progress",
        "Registry": "orxe_plugins.util.registry",
        "Silent": "orxe_plugins.util.progress",
        "distinct_name": "orxe_plugins.util.files",
        "import_file": "orxe_plugins.util.python_files",
        "remove_leftovers": "orxe_plugins.util.files",
        "safe_name": "orxe_plugins.util.files",
        "write_atomically": "orxe_plugins.util.files",
        "write_json": "orxe_plugins.util.files",
        "write_text": "orxe_plugins.util.files",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Progress",
    "Registry",
    "Silent",
    "distinct_name",
    "import_file",
    "remove_leftovers",
    "safe_name",
    "write_atomically",
    "write_json",
    "write_text",
]
