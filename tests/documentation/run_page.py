"""Run every code block and command of one page, as printed and in their order: ``python run_page.py PAGE FOLDER``.

Python blocks share one namespace; commands run in the shell; YAML blocks are parts of a recipe; TOML blocks are read.
Each block that ran is printed as a line. The first one that fails ends the script with its line number.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: what a block of the page builds on: a reader's own images
_GIVEN = {
    "torchvision.md": "import torch\nimage = torch.rand(3, 96, 128)\n",
    "esn.md": "import torch\nimages = torch.rand(8, 3, 224, 224)\ntargets = torch.arange(8)\n",
    "README.md": "import torch\nimages = torch.rand(4, 3, 224, 224)\n",
    "timm.md": "import torch\nimages = torch.rand(4, 1, 32, 32)\n",
}
#: a recipe that a YAML block is a part of
_RECIPE = {"name": "own", "data": {"root": "{data}"}, "experts": ["timm:test_resnet", "timm:test_vit"]}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        line: number of its first line.
        language: what stands behind the fence.
        text: its lines.
    """

    line: int
    language: str
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(text.count("\n", 0, match.start(2)) + 1, match[1].strip(), match[2])


def run_page(page: Path, folder: Path) -> None:
    """Run the blocks of a page in ``folder``."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))  # as where Python is started there
    names: dict[str, Any] = {"__name__": "__page__"}
    exec(_GIVEN.get(page.name, ""), names)
    for block in blocks_of(page):
        print(f"{page.name}:{block.line} {block.language}", flush=True)
        try:
            _run(block, page, names)
        except Exception as error:
            raise SystemExit(
                f"{page.name}, line {block.line}: {type(error).__name__}: {error}\n{block.text}"
            ) from error


def _run(block: Block, page: Path, names: dict[str, Any]) -> None:
    if block.language == "python":
        first_file = re.match(r"# (\w+\.py)\b", block.text)
        if first_file is not None:  # a file that the reader is to write
            Path(first_file[1]).write_text(block.text, encoding="utf-8")
        code = "\n" * (block.line - 1) + block.text
        exec(compile(code, str(page), "exec"), names)
    elif block.language == "bash":
        subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], check=True)
    elif block.language == "yaml":
        _check_recipe(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language != "text":
        raise ValueError(f"a block of language {block.language!r}: expected python, bash, yaml, toml or text")


def _check_recipe(text: str) -> None:
    """A whole recipe, or keys of one."""
    from orxe_plugins.run.recipe_file import load_recipe

    given = yaml.safe_load(text)
    file = Path("part.yaml")
    file.write_text(text if "data" in given and "experts" in given else yaml.safe_dump({**_RECIPE, **given}))
    load_recipe(str(file), out=Path("out").resolve(), data=Path.cwd())


if __name__ == "__main__":
    run_page(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
