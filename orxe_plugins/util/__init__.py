"""Files, progress, registries and lazy imports: what knows nothing of models."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.util.files import remove_leftovers, write_atomically, write_json, write_text
    from orxe_plugins.util.progress import Progress, Silent
    from orxe_plugins.util.python_files import import_file
    from orxe_plugins.util.registry import Registry
else:
    _PLACES = {
        "Progress": "orxe_plugins.util.progress",
        "Registry": "orxe_plugins.util.registry",
        "Silent": "orxe_plugins.util.progress",
        "import_file": "orxe_plugins.util.python_files",
        "remove_leftovers": "orxe_plugins.util.files",
        "write_atomically": "orxe_plugins.util.files",
        "write_json": "orxe_plugins.util.files",
        "write_text": "orxe_plugins.util.files",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "Progress",
    "Registry",
    "Silent",
    "import_file",
    "remove_leftovers",
    "write_atomically",
    "write_json",
    "write_text",
]
