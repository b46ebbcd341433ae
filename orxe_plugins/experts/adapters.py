"""Adapters by name: those that are installed, and those that were imported."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Protocol, cast

from orxe_plugins.errors import unknown
from orxe_plugins.experts.expert import Expert

ADAPTER_GROUP = "orxe_plugins.adapters"
#: adapters that were imported: name -> module
_REGISTERED: dict[str, str] = {}
#: adapters of the core: experts that live elsewhere need no framework
_OWN = {"http": "orxe_plugins.serving.remote", "https": "orxe_plugins.serving.remote_tls"}


class Adapter(Protocol):
    """What the module of an adapter must offer."""

    def load_expert(self, name: str, **options: Any) -> Expert:
        """The expert called ``name`` in the adapter's framework, in evaluation mode.

        An adapter may also offer:

        - ``load_untrained`` with the same arguments: the same architecture with random weights, without a download
          and without the checkpoint, for `orxe check`;
        - ``view_of`` with the same arguments: the :class:`~orxe_plugins.data.views.ImageView` of a classifier, or
          None for another expert, without reading its weights;
        - ``recognise(checkpoint, name=None, given=None)``: name and options of the model whose weights a file holds, or
          None, for `orxe init`; ``given`` are options that the user has said;
        - ``risks(name, options)``, with the checkpoint among the options: a :class:`~orxe_plugins.util.trust.Risk` for
          each thing that ``load_expert`` would run or fetch; experts of an adapter without it are built from files
          of others only where the caller trusts them;
        - ``pack_expert(expert)`` and ``unpack_expert(name, options, packed)``, by which experts are saved in one file
          with their weights (``orxe_plugins.experts.packing``).
        """


def register_adapter(name: str, module: str) -> None:
    """Make an adapter known that is imported but not installed, as from a source checkout on the path.

    Every adapter calls this when it is imported. Installed ones are also found without an import, through the
    entry-point group ``orxe_plugins.adapters``.

    Args:
        name: what stands before the colon of an expert's address.
        module: name of the module that offers what :class:`Adapter` says.

    Raises:
        ValueError: another module has that name.
    """
    if _REGISTERED.setdefault(name, module) != module:
        raise ValueError(f"adapter {name!r} is registered twice: by {_REGISTERED[name]} and {module}")


def adapters() -> dict[str, str]:
    """All known adapters, whether or not their framework is installed: name -> module, sorted."""
    installed = {name: point.value for name, point in _installed().items()}
    return dict(sorted({**_OWN, **_REGISTERED, **installed}.items()))


def adapter_names() -> tuple[str, ...]:
    """Names of all known adapters, sorted."""
    return tuple(adapters())


def load_adapter(name: str) -> Adapter:
    """The adapter called ``name``, installed or imported before; its framework is imported now.

    Raises:
        OrxeError: no adapter has that name.
        ImportError: its framework is not installed; the last line says what to install.
    """
    if (point := _installed().get(name)) is not None:
        return cast(Adapter, point.load())
    if name in {**_OWN, **_REGISTERED}:
        return cast(Adapter, importlib.import_module({**_OWN, **_REGISTERED}[name]))
    raise unknown("adapter", name, adapters())


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ADAPTER_GROUP)}


def import_framework(module: str, extra: str) -> ModuleType:
    """Import a framework for its adapter, or say how to install it.

    Args:
        module: the framework's module, such as ``timm``.
        extra: the extra of this project that installs it.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise ImportError(
            f"the {extra} adapter needs {module}, which is not installed. Install it with\n"
            f'pip install "orxe-plugins[{extra}]"'
        ) from error
