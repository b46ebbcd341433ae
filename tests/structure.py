"""The structure of the source tree in figures: ``python tests/structure.py [ROOT]``.

A room is what lies directly in ``orxe_plugins/``, a module or a package, or one of the adapters. An arrow goes from one
room to another that one of its files imports from, anywhere in the file. Names that a package's ``__init__`` offers
count as imports of the modules that define them. What only offers names and belongs to no room (``__init__``,
``__main__``, ``_moved``) is left out.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "orxe_plugins"
#: a file of more lines than this is a long one
LONG = 250
_OUTSIDE = ("orxe_plugins", "__main__", "_moved")

Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Structure:
    """What the source tree looks like.

    Attributes:
        rooms: which other rooms each room imports from.
        modules: which other modules each module imports from.
        lines: number of lines of each file.
        order: the rooms in the order in which imports may go, highest first; empty if none is written down.
    """

    rooms: Graph
    modules: Graph
    lines: dict[str, int]
    order: tuple[str, ...]

    @property
    def arrows(self) -> list[tuple[str, str]]:
        """All pairs of rooms of which the first imports from the second."""
        return [(room, other) for room in sorted(self.rooms) for other in sorted(self.rooms[room])]

    @property
    def upward(self) -> list[tuple[str, str]]:
        """Arrows that run back up the order."""
        place = {room: i for i, room in enumerate(self.order)}
        return [(a, b) for a, b in self.arrows if a in place and b in place and place[b] < place[a]]

    @property
    def circles(self) -> list[list[str]]:
        """Groups of rooms that import from each other."""
        return [sorted(group) for group in components(self.rooms) if len(group) > 1]

    @property
    def on_circles(self) -> list[tuple[str, str]]:
        """Arrows between rooms of one circle."""
        return [(a, b) for a, b in self.arrows if any(a in group and b in group for group in self.circles)]

    @property
    def long_files(self) -> dict[str, int]:
        """Files of more than ``LONG`` lines, longest first."""
        return {f: n for f, n in sorted(self.lines.items(), key=lambda item: -item[1]) if n > LONG}


def read(root: Path) -> Structure:
    """The structure of a checkout.

    Args:
        root: the repository's folder.
    """
    packages = [root / PACKAGE, *sorted((root / "adapters").glob("orxe_*"))]
    files = {_dotted(path, package.parent): path for package in packages for path in sorted(package.rglob("*.py"))}
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in files.items()}
    offered = {
        module: dict(_imports(tree, trees, {})) for module, tree in trees.items() if files[module].name == "__init__.py"
    }
    modules: Graph = {module: set() for module in trees if _room(module) not in _OUTSIDE}
    for module in modules:
        if files[module].name != "__init__.py":
            modules[module] = {place for _, place in _imports(trees[module], trees, offered)} & modules.keys()
            modules[module].discard(module)
    rooms: Graph = {_room(module): set() for module in modules}
    for module, others in modules.items():
        rooms[_room(module)] |= {_room(other) for other in others} - {_room(module)}
    lines = {str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines()) for path in files.values()}
    return Structure(rooms, modules, lines, _order(root / "pyproject.toml"))


def components(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other (Tarjan), each group before the ones that lead to it."""
    found: list[list[str]] = []
    number: dict[str, int] = {}
    least: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        number[node] = least[node] = len(number)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in number:
                visit(other)
            if other in stack:
                least[node] = min(least[node], least[other])
        if least[node] == number[node]:
            start = stack.index(node)
            found.append(stack[start:])
            del stack[start:]

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def longest_chain(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The longest way along the arrows; the nodes of a circle count as one, named by the first of them."""
    best: dict[str, list[str]] = {}
    for group in components(graph):
        ways = [best[other] for node in group for other in graph[node] if other not in group]
        chain = [min(group), *max(ways, key=len, default=[])]
        best.update(dict.fromkeys(group, chain))
    return max(best.values(), key=len)


def _dotted(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == PACKAGE and rest else first


def _imports(
    tree: ast.AST, known: Mapping[str, ast.AST], offered: Mapping[str, Mapping[str, str]]
) -> Iterable[tuple[str, str]]:
    """Each imported name with the module of this project that it comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            places = [(alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            places = [(alias.name, f"{node.module}.{alias.name}") for alias in node.names]
        else:
            continue
        for name, place in places:
            if place not in known:  # no module, but a name in one
                module, _, last = place.rpartition(".")
                place = offered.get(module, {}).get(last, module)
            if place in known:
                yield name, place


def _order(file: Path) -> tuple[str, ...]:
    """The layers of the contract in ``pyproject.toml``."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.search(r'containers = \["orxe_plugins"\]\nlayers = \[(.*?)\]', text, re.DOTALL)
    return tuple(re.findall(r'"(\w+)"', found[1])) if found else ()


def main(root: Path) -> None:
    """Print the figures."""
    seen = read(root)
    print(f"{len(seen.rooms)} rooms, {len(seen.arrows)} arrows between them, {len(seen.modules)} modules")
    up = seen.upward if seen.order else seen.on_circles
    print(f"{len(up)} arrows {'back up the list of packages' if seen.order else 'on circles'}")
    for a, b in up:
        print(f"  {a} -> {b}")
    for group in seen.circles:
        print(f"circle: {', '.join(group)}")
    for what, graph in (("rooms", seen.rooms), ("modules", seen.modules)):
        chain = longest_chain(graph)
        print(f"longest chain of {what}: {len(chain)}\n  {' -> '.join(chain)}")
    print(f"{len(seen.long_files)} of {len(seen.lines)} files have more than {LONG} lines")
    for name, count in seen.long_files.items():
        print(f"  {count:4d} {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
