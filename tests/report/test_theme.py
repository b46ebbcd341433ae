from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from matplotlib.colors import to_rgb

from orxe_plugins.report.theme import DARK, LIGHT, Theme, new_figure, save_figure, styled


def lightness(colour: str) -> float:
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_what_is_drawn_stands_out_from_the_paper(theme: Theme) -> None:
    for colour in (theme.ink, theme.cascade, theme.expert, theme.saver, theme.base, theme.mark, theme.muted):
        assert abs(lightness(colour) - lightness(theme.paper)) > 0.3


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_the_colours_of_a_sequence_get_lighter(count: int) -> None:
    colours = LIGHT.sequence(count)
    assert len(set(colours)) == count
    assert [lightness(colour) for colour in colours] == sorted(lightness(colour) for colour in colours)


def test_the_callers_settings_are_left_alone() -> None:
    before = dict(matplotlib.rcParams)
    with pytest.raises(RuntimeError), styled(DARK):
        assert matplotlib.rcParams["figure.facecolor"] == DARK.paper
        raise RuntimeError
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        with styled(LIGHT):
            figure = new_figure(2, 2)
            figure.subplots().plot([0, 1], [0, 1])
            save_figure(figure, tmp_path / f"{name}{suffix}", LIGHT)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
