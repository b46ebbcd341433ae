"""The example of docs/tasks.md, run as it stands there: by a recipe's plugin file and by an entry point."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.training.make import make_expert

pytest.importorskip("timm")


@pytest.fixture(scope="module")
def example(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The doc's files in a folder, with experts that were never trained and 40 images in two questions."""
    folder = tmp_path_factory.mktemp("attributes")
    text = (root / "docs" / "tasks.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", text, flags=re.DOTALL))
    assert set(blocks) == {"plugin.py", "recipe.yaml"}
    for name, content in blocks.items():
        (folder / name).write_text(content)
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    rows = ["image,dark,red"]
    for i in range(40):
        colour = rng.integers(0, 256, 3)
        Image.new("RGB", (20, 20), tuple(colour.tolist())).save(folder / "data" / f"{i:02d}.png")
        rows.append(f"{i:02d}.png,{int(colour.mean() < 128)},{int(colour[0] > 128)}")
    (folder / "data" / "targets.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_example_has_at_most_50_lines_of_code(example: Path) -> None:
    lines = [line for line in (example / "plugin.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 50


def orxe(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, for a task is registered but once in one."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from orxe_plugins.cli import main; main()"
    command = [sys.executable, "-c", code, str(path or ""), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkpoints(example: Path) -> None:
    for spec in load_recipe(example, out=example / "out", data=example / "data").experts:
        make_expert(spec, lambda expert: None)


@pytest.mark.usefixtures("checkpoints")
def test_the_example_runs_as_a_recipes_plugin(example: Path) -> None:
    done = orxe("run", str(example), "--data", str(example / "data"), "--out", str(example / "run"))
    assert done.returncode == 0, done.stderr
    assert "exact match" in done.stdout
    cascade = json.loads((example / "run" / "cascade" / "cascade.json").read_text())
    assert cascade["task"] == "attributes"
    assert cascade["experts"][0]["confidence"] == {"kind": "least_certain"}
    assert (example / "run" / "report" / "report.html").is_file()
    image = next(path for path in sorted((example / "data").rglob("*")) if path.suffix in (".png", ".jpg"))
    asked = ["predict", str(example / "run" / "cascade"), str(image), "--plugin", str(example / "plugin.py")]
    predicted = orxe(*asked)
    assert predicted.returncode == 0, predicted.stderr
    assert len(predicted.stdout.splitlines()) == 2
    refused = orxe(*asked[:-2])
    assert "unknown task 'attributes'" in refused.stderr
    assert "orxe predict --plugin FILE" in refused.stderr


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.long
def test_the_example_runs_from_an_installed_package(example: Path, tmp_path: Path) -> None:
    """A folder on the path with metadata is what an installed package is."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text("")
    (tmp_path / "my_package" / "plugin.py").write_text((example / "plugin.py").read_text())
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[orxe_plugins.tasks]\nattributes = my_package.plugin\n")
    listed = orxe("list", "tasks", path=tmp_path)
    assert "attributes" in listed.stdout, listed.stderr
    arguments = [str(example), "plugin=null", "--data", str(example / "data"), "--out", str(tmp_path / "run")]
    done = orxe("run", *arguments, path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "exact match" in done.stdout
    # Without the package nobody knows the task.
    missing = orxe("run", *arguments)
    assert missing.returncode != 0
    assert "unknown task 'attributes'" in missing.stderr
