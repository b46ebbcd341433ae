from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orxe_plugins import OrxeError, register_confidence, register_task
from orxe_plugins.confidence import ConfidenceProvider, confidence_from_dict, confidence_names
from orxe_plugins.tasks import Task, task_named, task_names
from orxe_plugins.util import Registry


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry with one built-in class, ``late``, in a module that is imported when the class is asked for."""
    (tmp_path / "late_module.py").write_text(
        "import orxe_test_registry\n@orxe_test_registry.found.register('late')\nclass Late: ...\n"
    )
    (tmp_path / "orxe_test_registry.py").write_text("found = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    import orxe_test_registry  # type: ignore[import-not-found]

    registry: Registry = Registry("thing", {"late": "late_module"})
    monkeypatch.setattr(orxe_test_registry, "found", registry)
    yield registry
    for name in ("late_module", "orxe_test_registry"):
        sys.modules.pop(name, None)


def test_a_built_in_class_is_imported_when_it_is_asked_for(built_in: Registry) -> None:
    assert built_in.names() == ("late",)
    assert "late_module" not in sys.modules
    found = built_in.find("late")
    assert found is sys.modules["late_module"].Late and built_in.find("late") is found


def test_others_register_themselves_and_no_name_is_given_twice(built_in: Registry) -> None:
    @built_in.register("own")
    class Own: ...

    assert built_in.find("own") is Own
    assert built_in.find("other") is None
    assert built_in.names() == ("late", "own")
    for taken in ("own", "late"):
        with pytest.raises(ValueError, match=f"thing '{taken}' is registered twice"):
            built_in.register(taken)(Own)


def test_names_of_built_in_tasks_and_confidences_are_taken() -> None:
    with pytest.raises(ValueError, match="task 'detection' is registered twice"):
        register_task("detection")(type("Mine", (Task,), {}))
    with pytest.raises(ValueError, match="confidence 'margin' is registered twice"):
        register_confidence("margin")(type("Mine", (ConfidenceProvider,), {}))


def test_every_built_in_name_is_found_and_an_unknown_one_is_named() -> None:
    assert all(task_named(kind).kind == kind for kind in task_names())
    fitted = ("ranking_gate", "advantage")
    assert all(confidence_from_dict(kind).kind == kind for kind in confidence_names() if kind not in fitted)
    with pytest.raises(OrxeError, match="confidence 'advantage': missing .*`confidence: auto`"):
        confidence_from_dict("advantage")
    with pytest.raises(OrxeError, match="confidence 'margin': got an unexpected keyword argument 'temprature'"):
        confidence_from_dict({"kind": "margin", "temprature": 2})
    with pytest.raises(OrxeError, match="unknown confidence 'margn': did you mean 'margin'"):
        confidence_from_dict("margn")
    with pytest.raises(OrxeError, match="unknown task 'detections': did you mean 'detection'"):
        task_named("detections")
