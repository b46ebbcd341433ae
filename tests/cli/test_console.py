from __future__ import annotations

import io
import warnings

import pytest
from rich.console import Console

from orxe_plugins import OrxeError
from orxe_plugins.cli import console
from orxe_plugins.errors import OrxeWarning


def test_bars_show_how_far_a_job_is_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(console, "err", terminal)
    with console.bars() as bars:
        bars.start(40, "timm:[resnet18]", done=30)
        bars.advance(5)
        bars._bars.refresh()
    said = screen.getvalue()
    assert "timm:[resnet18]" in said and "35/40" in said and "left" in said
    assert said.rstrip().endswith("\x1b[?25h"), "the cursor must be back"


def test_elsewhere_they_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=screen, force_terminal=False))
    with console.bars() as bars:
        bars.start(40, "timm:[resnet18]", done=30)
        bars.advance(10)
        bars.start(5, "again", done=5)
    first, second, third = screen.getvalue().splitlines()
    assert first == "timm:[resnet18]: 40 to do, 30 done before"
    assert second.startswith("timm:[resnet18]: 40 done in ")
    assert third == "again: 5 done before"


def test_bars_are_closed_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=screen, force_terminal=True, width=80))
    with pytest.raises(ValueError, match="boom"), console.bars() as bars:
        bars.start(3, "job")
        raise ValueError("boom")
    assert bars._bars.live.is_started is False


def test_ctrl_c_says_that_the_command_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, console.friendly_errors(), console.bars():
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert capfd.readouterr().err == "stopped; the same command goes on where this one was\n"


def test_errors_that_users_can_mend_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    for error in (OrxeError("data folder '[x]' is empty"), ImportError("install it")):
        with pytest.raises(SystemExit) as end, console.friendly_errors():
            raise error
        assert end.value.code == 2
        assert capfd.readouterr().err == f"error: {error}\n"


def test_warnings_of_this_project_are_one_line_and_others_stay(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[str] = []

    def before(message: Warning | str, *rest: object) -> None:
        others.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", before)
        with console.friendly_errors():
            warnings.warn("odd [data]", OrxeWarning, stacklevel=1)
            warnings.warn("theirs", UserWarning, stacklevel=1)
        assert warnings.showwarning is before
    assert capfd.readouterr().err == "warning: odd [data]\n"
    assert others == ["theirs"]


def test_errors_of_the_program_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), console.friendly_errors():
        raise ZeroDivisionError
