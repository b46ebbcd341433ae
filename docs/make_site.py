"""Write the pages that the documentation's site is built of: ``python docs/make_site.py build/pages``.

The site shows the repository's own Markdown files under their own paths, so that their links lead to the same places
there; README.md is its first page. Pages of the API are made of what each package of the core names in ``__all__``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: folders whose files pages link to
COPIED = ("docs", "recipes", "benchmarks", "examples")
TOP = ("CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "LICENSE", "CITATION.cff")
ADAPTERS = ("orxe_timm", "orxe_torchvision", "orxe_ultralytics", "orxe_mmdet")
_LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.py", "mkdocs.yml")


def write_pages(folder: Path) -> None:
    """Write all pages into ``folder``, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=_LEFT_OUT)
    for name in TOP:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "README.md", folder / "index.md")
    for page in [*folder.rglob("*.md")]:
        copy_linked_files(page, folder)
    (folder / "api").mkdir()
    for package in packages():
        names = importlib.import_module(package).__all__
        (folder / "api" / f"{package}.md").write_text(api_page(package, sorted(names)), encoding="utf-8")


def copy_linked_files(page: Path, folder: Path) -> None:
    """Copy files of the repository that a page links to, such as sources, to where the link leads."""
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / link).resolve()
        if not target.is_relative_to(folder.resolve()) or target.exists():
            continue
        source = ROOT / target.relative_to(folder.resolve())
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def packages() -> list[str]:
    """The core, its packages that name what users may import, and the adapters."""
    import orxe_plugins

    found = [f"orxe_plugins.{module.name}" for module in pkgutil.iter_modules(orxe_plugins.__path__) if module.ispkg]
    inner = {"orxe_plugins.cli"}  # the command: `orxe --help` tells of it
    return ["orxe_plugins", *(name for name in found if name not in inner), *ADAPTERS]


def api_page(package: str, names: list[str]) -> str:
    """A page of what a package offers, made of its docstrings."""
    parts = [f"# `{package}`\n\n::: {package}\n    options:\n      members: false\n      show_root_heading: false\n"]
    if package == "orxe_plugins":
        # What the packages define is told there; here is what to import from the top.
        listed = [f"- [`{name}`][{told_at(package, name)}]" for name in names if not name.startswith("_")]
        own = [name for name in names if place_of(name) is None and not name.startswith("_")]
        return "\n".join([*parts, "Importable from the top:\n", *listed, "", *(entry(package, name) for name in own)])
    return "\n".join([*parts, *(entry(package, name) for name in names)])


def entry(package: str, name: str) -> str:
    """What asks for the documentation of one name that a package offers."""
    place = told_at(package, name)
    options = [] if place == f"{package}.{name}" else [f"heading: {package}.{name}"]
    members = from_inner_bases(getattr(importlib.import_module(package), name))
    if members:
        options.append(f"inherited_members: [{', '.join(members)}]")
    return "\n".join(
        [f"::: {place}", *(["    options:"] if options else []), *(f"      {each}" for each in options), ""]
    )


def from_inner_bases(defined: Any) -> list[str]:
    """Names of a class's methods that it has from bases of this project which no page tells of."""
    if not isinstance(defined, type):
        return []
    told = offered()
    bases = [base for base in defined.__mro__[1:] if base.__module__.startswith("orxe_") and base not in told]
    names = {name for base in bases for name, value in vars(base).items() if inspect.isroutine(value)}
    return sorted(name for name in names if not name.startswith("_") and name not in vars(defined))


@cache
def offered() -> tuple[Any, ...]:
    """All classes that pages tell of."""
    modules = [importlib.import_module(package) for package in packages()]
    return tuple(value for module in modules for n in module.__all__ if isinstance(value := getattr(module, n), type))


def told_at(package: str, name: str) -> str:
    """The full name that a name of a package is documented under.

    Where a module of the package has the same name, that of the definition: the module would be documented instead.
    """
    below = place_of(name) if package == "orxe_plugins" else None
    if below is not None:
        return told_at(below, name)
    if package != "orxe_plugins" and importlib.util.find_spec(f"{package}.{name}") is None:
        return f"{package}.{name}"
    defined = getattr(importlib.import_module(package), name)
    return f"{getattr(defined, '__module__', package)}.{name}"


def place_of(name: str) -> str | None:
    """The package that a name of the top is told of with; None if it is with none."""
    at_the_top = getattr(importlib.import_module("orxe_plugins"), name)
    for package in packages()[1:]:
        found = importlib.import_module(package)
        if name in found.__all__ and getattr(found, name) is at_the_top:
            return package
    return None


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
