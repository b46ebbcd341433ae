from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from orxe_plugins.evaluation.gate import GateEvaluation
from orxe_plugins.evaluation.results import Estimate, Evaluation
from orxe_plugins.evaluation.samples import Samples
from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.figures.frontier import frontier_figure
from orxe_plugins.report.figures.gate import gate_figure
from orxe_plugins.report.figures.saver import saver_figure
from orxe_plugins.report.figures.shares import shares_figure
from orxe_plugins.report.letters import drawn, drawn_names

#: of the private use area: no font has it
STRANGE = "\ue9ff"
SAMPLES = Samples(f"data {STRANGE}", "reporting split", 100)


def test_a_name_that_cannot_be_drawn_is_a_number() -> None:
    names = ["small", f"big{STRANGE}", "a\u202eb", "\u05d0\u05d1-x"]
    assert drawn_names(names) == ("small", "expert 2", "a\\u202eb", "expert 4")
    assert drawn("small\n b") == "small\n b"
    assert drawn(f"a{STRANGE}b") == "a\ufffdb"


def test_pictures_of_strange_letters_are_drawn_without_a_warning(
    evaluation: Callable[..., Evaluation], saver_evaluation: Callable[..., SaverEvaluation],
    gate_evaluation: Callable[..., GateEvaluation],
) -> None:  # fmt: skip
    strange = {"metric_name": f"score {STRANGE}", "cost_unit": STRANGE, "reported_on": SAMPLES}
    many = (*(f"expert{i} {STRANGE}" for i in range(11)), "last")
    costs, scores = tuple(range(1, 13)), tuple(0.5 + 0.03 * i for i in range(12))
    one = ((0.5, evaluation().policies[0].policy, 1.0, 0.5, (1.0, *11 * (0.0,))),)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = [
            frontier_figure(evaluation(names=("small", STRANGE, "large"), **strange)),
            frontier_figure(evaluation(names=many, costs=costs, scores=scores, policies=one, chosen=0, **strange)),
            shares_figure(evaluation(names=("small", STRANGE, "large"), **strange)),
            saver_figure(saver_evaluation(base=STRANGE, **{k: strange[k] for k in ("metric_name", "reported_on")})),
            gate_figure(gate_evaluation(Estimate(0.1, 0.0, 0.2), [], **strange)),
        ]
        for figure in figures:
            figure.canvas.draw()


@pytest.mark.parametrize("draw", [frontier_figure, shares_figure])
def test_other_names_are_drawn_as_they_are(draw: Callable[..., object], evaluation: Callable[..., Evaluation]) -> None:
    figure = draw(evaluation(names=("small", STRANGE, "Gro\u00df-\u03b1")))
    texts = {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}  # type: ignore[attr-defined]
    assert any(text.endswith("Gro\u00df-\u03b1") for text in texts)
    assert any(text.endswith("expert 2") for text in texts)
