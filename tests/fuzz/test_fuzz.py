"""Spoiled files of every format end in a valid object or an OrxeError, and do nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from orxe_plugins import OrxeError
from orxe_plugins.cost.latency import LatencyTable
from orxe_plugins.data.views import ImageView
from orxe_plugins.detection.calibration import calibration_from_dict
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.util.json_files import parse_json
from orxe_plugins.util.yaml_files import parse_yaml

sys.path.insert(0, str(Path(__file__).parent))
from formats import FORMATS, register
from spoil import places

#: files of every format in the default suite, and in the long run
FEW, MANY = 12, 1_000

register()

#: with halves of pairs of UTF-16 and control characters
texts = st.text(st.characters(), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def keyed(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values of any kind under the keys of a format, some of which may be missing."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, plain))


row = keyed("preference", "cost", "score", "cost_error", "exit_thresholds", "skip_thresholds")
_MORE = dict.fromkeys(("cost_unit", "reference_cost", "n_samples", "pareto", "params", "promises"), plain)
OBJECTS = {
    "table": (PolicyTable.from_dict,
              plain | st.fixed_dictionaries({"rows": st.lists(row, max_size=3)}, optional=_MORE)),
    "policy": (Policy.from_dict, plain | keyed("exit_thresholds", "skip_thresholds")),
    "latencies": (LatencyTable.from_dict, plain | keyed("batch_sizes", "ms_per_batch", "details")),
    "view": (ImageView.from_dict, keyed("size", "resize", "mean", "std", "interpolation", "squash")),
    "calibration": (calibration_from_dict, keyed("scores", "values", "slope", "intercept").map(
        lambda data: {"kind": "isotonic" if "scores" in data else "platt", **data})),
    "expert": (ExpertSpec.from_dict, keyed("address", "name", "checkpoint", "options", "confidence", "cost", "origin")),
}  # fmt: skip


@pytest.mark.parametrize("kind", OBJECTS)
@given(data=st.data())
def test_any_values_are_an_object_or_an_error_by_name(kind: str, data: st.DataObject) -> None:
    make, values = OBJECTS[kind]
    given_values = data.draw(values)
    try:
        make(given_values)  # type: ignore[operator]
    except OrxeError as error:
        assert str(error)


@given(text=st.text(st.characters(), max_size=60))
@example("a: &a [*a]")
@example("&x {? *x : 1}")
@example("a: 2001-99-99")
@example("? [1]\n: 2")
@example("a: 0x" + "f" * 2000)
@example("[" * 5000)
def test_any_text_is_yaml_or_an_error(text: str) -> None:
    for parse in (lambda: parse_yaml(text, "it"), lambda: parse_json(text, "it"), lambda: parse_address(text)):
        try:
            parse()
        except OrxeError as error:
            assert str(error)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Manifests, each in a folder that is sound apart from what is done to it."""
    return {name: FORMATS[name].make(tmp_path_factory.mktemp("made")) for name in ("dataset.json", "expert.json")}


@pytest.mark.parametrize("name", ["dataset.json", "expert.json"])
@given(data=st.data())
def test_any_value_anywhere_in_a_manifest_is_read_or_named(
    folders: dict[str, Path], name: str, data: st.DataObject
) -> None:
    path = folders[name]
    folder = next(each for each in path.parents if (each / "records").is_dir())
    whole = path.read_text()
    content = json.loads(whole)
    holder, key = data.draw(st.sampled_from(places(content)))
    holder[key] = data.draw(plain)
    path.write_text(json.dumps(content))
    try:
        FORMATS[name].read(folder)
    except OrxeError as error:
        assert str(folder) in str(error)
    finally:
        path.write_text(whole)


def test_a_row_with_a_number_of_hundreds_of_digits_is_an_error() -> None:
    for value in (10**400, -(10**400), "0.5"):
        with pytest.raises(OrxeError):
            PolicyRow.from_dict({"preference": value, "cost": 1.0, "score": 0.5, "exit_thresholds": []})
        with pytest.raises(OrxeError):
            Policy((value,))


def test_what_a_long_run_of_spoiled_files_found_is_an_error_by_name(tmp_path: Path) -> None:
    """One case of each kind that ended in a traceback or took many seconds."""
    table = json.loads(FORMATS["policy table"].make(tmp_path).read_text())
    table["promises"][0]["surplus"] = 1
    with pytest.raises(OrxeError, match="key of a promise"):
        PolicyTable.from_dict(table)
    for number in (10**400, float("nan"), float("inf")):
        with pytest.raises(OrxeError):
            ImageView.from_dict({"size": [8, 8], "resize": 8, "mean": [number], "std": [1.0]})
    deep = "[" + "[" * 399 + ", ".join(["x" * 30] * 1000) + "]" * 400
    with pytest.raises(OrxeError, match="nested too deeply"):
        parse_yaml(deep, "it")
    data = FORMATS["YOLO data file"].make(tmp_path / "yolo")
    data.write_text(json.dumps({**yaml.safe_load(data.read_text()), "val": "\ud800"}))
    with pytest.raises(OrxeError, match="is no path|is not readable YAML"):
        FORMATS["YOLO data file"].read(data.parent)
    data.write_text(json.dumps({"path": ".", "train": "images/train", "val": "images/val", "names": ["cat", "\ud800"]}))
    with pytest.raises(OrxeError, match="cannot stand in a text|is not readable YAML"):
        FORMATS["YOLO data file"].read(data.parent)
    manifest = FORMATS["expert.json"].make(tmp_path / "records")
    manifest.write_text(json.dumps({k: v for k, v in json.loads(manifest.read_text()).items() if k != "cost"}))
    with pytest.raises(OrxeError, match="cost"):
        FORMATS["expert.json"].read(tmp_path / "records")
    dataset = FORMATS["dataset.json"].make(tmp_path / "other")
    dataset.write_text(json.dumps({**json.loads(dataset.read_text()), "samples": 0}))
    with pytest.raises(OrxeError, match="samples"):
        FORMATS["dataset.json"].read(tmp_path / "other")


def fuzz(count: int, seed: int, *formats: str) -> dict[str, Any]:
    script = Path(__file__).with_name("run_fuzz.py")
    command = [sys.executable, str(script), str(count), str(seed), *formats]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    results: dict[str, Any] = json.loads(done.stdout)
    for name, result in results.items():
        counts = {key: value for key, value in result.items() if key != "failures"}
        print(f"{name}: {counts}, {len(result['failures'])} failures")
    return results


def test_a_few_spoiled_files_of_every_format() -> None:
    results = fuzz(FEW, 0)
    assert {name: result["failures"] for name, result in results.items() if result["failures"]} == {}
    # The ways to spoil do spoil; of some formats a few files may all be valid still.
    assert sum(result["refused"] > 0 for result in results.values()) > len(results) / 2


def test_the_watch_sees_what_it_forbids(tmp_path: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
sys.argv = ["run_fuzz.py"]
import orxe_plugins, os, socket, subprocess
from pathlib import Path
from run_fuzz import Watch
watch = Watch()
folder = Path({str(tmp_path / "folder")!r}); folder.mkdir()
(folder / "own").write_text("")
outside = Path({str(tmp_path / "outside.py")!r}); outside.write_text("x = 1")
def seen(act):
    watch.start(folder)
    try: act()
    except Exception: pass
    return watch.stop()
assert not seen(lambda: (folder / "own").read_text())
assert not seen(lambda: __import__("colorsys"))
assert seen(lambda: outside.read_text())
assert seen(lambda: os.system("true"))
assert seen(lambda: subprocess.run(["true"]))
assert seen(lambda: socket.create_connection(("127.0.0.1", 1)))
assert seen(lambda: exec(compile("1", str(outside), "exec")))
assert seen(lambda: os.mkdir({str(tmp_path / "made")!r}))
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.long
@pytest.mark.timeout(3600 * 6)
def test_twenty_thousand_spoiled_files_of_all_formats() -> None:
    results = fuzz(MANY, 1)
    assert sum(result["files"] for result in results.values()) >= 20_000
    assert {name: result["failures"][:3] for name, result in results.items() if result["failures"]} == {}
