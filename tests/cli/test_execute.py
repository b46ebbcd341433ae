from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orxe_plugins.cli.execute import run_script
from orxe_plugins.errors import OrxeError

SCRIPT = """
import sys
import timm
from helper_beside_the_script import WORD

model = timm.create_model(sys.argv[2], experts=["resnet10t", "resnet18"], exit_thresholds=[0.5], pretrained=False)
print(WORD, __name__, sys.argv[1:], type(model).__name__, "orxe_metamodel" in timm.list_models())
"""


def test_a_script_that_knows_nothing_of_this_project_can_make_a_cascade(tmp_path: Path) -> None:
    (tmp_path / "helper_beside_the_script.py").write_text("WORD = 'beside'")
    script = tmp_path / "validate.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "orxe_plugins.cli", "exec", str(script), "--model", "orxe_metamodel"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "beside", "__main__", "['--model',", "'orxe_metamodel']", "CascadeClassifier", "True",
    ]  # fmt: skip


def test_the_exit_code_of_the_script_is_the_commands(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("import sys; sys.exit(7)")
    done = subprocess.run([sys.executable, "-m", "orxe_plugins.cli", "exec", str(script)], check=False)
    assert done.returncode == 7


def test_a_missing_script_is_named() -> None:
    with pytest.raises(OrxeError, match=r"no script at 'nowhere\.py'"):
        run_script(Path("nowhere.py"), [])


def test_the_interpreter_is_left_as_it_was(tmp_path: Path) -> None:
    script = tmp_path / "quiet.py"
    script.write_text("import sys; sys.path.append('x')")
    before = sys.argv, sys.path[:]
    run_script(script, ["a"])
    assert (sys.argv, sys.path) == before
