"""Class folders under experts that know more classes, or fewer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from orxe_plugins import OrxeError
from orxe_plugins.data.datasets import ImageFolder
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.class_names import positions_of_names
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.tasks import task_named

TASK = task_named("classification")
VIEW = ImageView(size=(8, 8), resize=8)


class Logits(nn.Module):
    """Each class's own number as its logit."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.arange(float(self.count)).repeat(len(batch), 1)


def expert(*names: str, classes: str = "data") -> ClassifierExpert:
    made = ClassifierExpert("made", Logits(len(names)), view=VIEW, num_classes=len(names))
    made.names, made.classes = names, classes
    return made


def folders(root: Path, *names: str) -> ImageFolder:
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / name / "a.png")
    return ImageFolder(root)


def test_an_expert_answers_in_the_folders_alone(tmp_path: Path) -> None:
    made, data = expert("cow", "Dog", "ant", "cat"), folders(tmp_path, "ant", "cat", "dog")
    for _ in range(2):
        TASK.prepare(made, data)
        assert (made.num_classes, made.names) == (3, ("ant", "cat", "dog"))
    outputs = made.run(torch.zeros(2, 3, 8, 8)).outputs
    assert outputs.tolist() == [[2.0, 3.0, 1.0]] * 2
    assert TASK.score(outputs, [1, 0]).tolist() == [1.0, 0.0]
    assert made.run(torch.zeros(1, 3, 8, 8)).confidence.item() == pytest.approx(
        torch.softmax(outputs[0], 0).max().item()
    )


def test_other_classes_are_an_error_or_left_out(tmp_path: Path) -> None:
    one, other = expert("ant", "cat", "dog"), expert("cat", "cow", "ant")
    data = folders(tmp_path, "ant", "cat", "dog", "yak")
    with pytest.raises(OrxeError, match="1 of 4 classes: not known to expert 'made': 'yak'.*`classes: intersect`"):
        TASK.prepare(one, data)
    with pytest.raises(OrxeError, match="data set .* has a class 3, but expert 'made' has 3 classes"):
        TASK.prepare(expert("ant", "cat", "dog", classes="same"), data)
    both = TASK.with_classes(data, [one, other])
    assert both.targets == [0, 1]
    assert both.notes == ("2 of 4 classes: left out with 2 images, as not every expert knows them: dog, yak",)
    TASK.prepare(other, both)
    assert other.run(torch.zeros(1, 3, 8, 8)).outputs.tolist() == [[2.0, 0.0]]
    assert both.select([1]).load(0).size == (8, 8)
    with pytest.raises(OrxeError, match="no class folder .* is known to all experts"):
        TASK.with_classes(data, [expert("emu"), one])


def test_what_cannot_be_matched_by_name_is_said(tmp_path: Path) -> None:
    nameless = expert(classes="data")
    with pytest.raises(OrxeError, match="the class names of expert 'made' are not known"):
        TASK.prepare(nameless, folders(tmp_path / "a", "ant", "cat"))
    with pytest.raises(OrxeError, match="which say already which of the experts' classes they are"):
        TASK.prepare(expert("0", "1"), folders(tmp_path / "b", "0", "1"))
    with pytest.raises(OrxeError, match="2 class folders and no class map.*`classes: data`"):
        TASK.prepare(expert("ant", "cat", "dog", classes="same"), ImageFolder(tmp_path / "a"))


def test_synonyms_mean_a_class_unless_two_share_them() -> None:
    made = expert("a", "b", "c")
    made.names = ()
    made.synonyms = lambda: ["n01,crane, bird of prey", "n02,crane", "n03,tench, Tinca tinca"]
    assert positions_of_names(made, ["n02", "crane", "tinca tinca", "Bird_of_prey", "x"]) == [1, None, 2, 0, None]


def test_timm_knows_imagenets_names_and_keeps_what_it_answers_in() -> None:
    pytest.importorskip("orxe_timm")
    from orxe_plugins import load_expert
    from orxe_plugins.experts.packing import current_spec

    loaded = load_expert("timm:test_vit?pretrained=false")
    assert isinstance(loaded, ClassifierExpert)
    assert positions_of_names(loaded, ["n01440764", "goldfish", "n02123045"]) == [0, 1, 281]
    loaded.answer_in(["tench", "tabby"], [0, 281])
    spec = current_spec(loaded)
    assert spec.options["answer_in"] == {"tench": 0, "tabby": 281}
    again = load_expert(spec)
    assert (again.num_classes, again.names) == (2, ("tench", "tabby"))  # type: ignore[attr-defined]
    assert again.run(torch.zeros(1, 3, 160, 160)).outputs.shape == (1, 2)
