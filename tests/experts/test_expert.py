from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from orxe_plugins import ClassifierExpert, Expert, OrxeError
from orxe_plugins.confidence import Margin, MaxSoftmax
from orxe_plugins.data.views import ImageView
from orxe_plugins.experts.batch_context import BatchContext, CascadeSetup
from orxe_plugins.experts.expert import FeatureLayer
from orxe_plugins.experts.label_space import check_same_classes


def classifier(classes: int = 3, size: int = 8, name: str = "net") -> ClassifierExpert:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
    return ClassifierExpert(name, module, view=ImageView((size, size), size), num_classes=classes)


def test_a_plain_module_is_an_expert_as_it_is() -> None:
    module = nn.Linear(4, 3)
    expert = Expert("plain", module)
    batch = torch.randn(5, 4)
    answers = expert.run(batch)
    assert torch.equal(answers.outputs, module(batch))
    torch.testing.assert_close(answers.confidence, module(batch).softmax(1).amax(1))
    assert answers.confidence.dtype == torch.float32
    assert expert.params == 15


@pytest.mark.parametrize("model", [nn.Conv2d(3, 4, 3), nn.Flatten()])
def test_a_model_that_takes_no_list_says_which_samples_it_was_handed(model: nn.Module) -> None:
    some = [torch.rand(3, 8, 8), torch.rand(3, 10, 8)]
    with pytest.raises(OrxeError, match=r"expert 'plain' takes no list .*\(3, 8, 8\), \(3, 10, 8\).*one tensor"):
        Expert("plain", model).run(some)
    with pytest.raises((TypeError, AttributeError)):
        Expert("plain", model).run(["a text", *some])


def test_the_confidence_is_a_plug_in_and_always_float32() -> None:
    expert = Expert("half", nn.Linear(4, 3).double(), confidence=Margin())
    assert expert.run(torch.randn(2, 4, dtype=torch.float64)).confidence.dtype == torch.float32
    top = expert.run(torch.randn(2, 4, dtype=torch.float64)).outputs.softmax(1).topk(2).values
    assert top.shape == (2, 2)


def test_a_cost_is_counted_once_and_a_given_one_is_kept() -> None:
    expert = classifier()
    assert expert.measure_cost() == pytest.approx(12 * 3 / 1e9)
    expert.module = nn.Identity()
    assert expert.measure_cost() == pytest.approx(12 * 3 / 1e9)
    given = Expert("given", nn.Linear(2, 2), cost=7.5)
    assert given.measure_cost() == 7.5


def test_a_cost_that_is_not_known_is_asked_for() -> None:
    expert = Expert("plain", nn.Linear(4, 3))
    with pytest.raises(OrxeError, match="the cost of expert 'plain' is not known: give cost=, or run it once"):
        expert.measure_cost()
    assert expert.measure_cost(torch.randn(6, 4)) == pytest.approx(12e-9)


def test_originals_of_every_kind_and_the_tensor_of_their_view_answer_alike() -> None:
    expert = classifier()
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    arrays = [image.permute(1, 2, 0).numpy() for image in pixels]
    tensor = expert.view.from_images(arrays)
    for batch in (pixels, list(pixels), arrays):
        torch.testing.assert_close(expert(batch), expert.module(tensor))
    torch.testing.assert_close(expert(tensor), expert.module(tensor))


def test_a_tensor_shows_the_cascades_view_and_alone_the_experts_own() -> None:
    expert, shown = classifier(size=8), ImageView((16, 16), 16)
    batch = torch.randn(2, 3, 16, 16)
    context = BatchContext.of(batch, CascadeSetup(input_view=shown))
    derived = expert.view.from_tensor(batch, shown)
    assert torch.equal(expert.run(batch, context).outputs, expert.module(derived))
    assert torch.equal(expert(derived), expert.module(derived))
    with pytest.raises(OrxeError, match="make a Cascade with input_view=view"):
        expert.input_view = shown
    assert expert.input_view is expert.view


class OwnForward(ClassifierExpert):
    """Written for version 0.1: it takes the batch alone."""

    def forward(self, batch: Any) -> Tensor:
        return 2 * self.module(self.prepare(batch))


class OwnPrepare(ClassifierExpert):
    def prepare(self, batch: Any) -> Tensor:
        return 2 * super().prepare(batch)


class SeesContext(ClassifierExpert):
    def forward(self, batch: Any, context: BatchContext | None = None) -> Tensor:
        assert context is not None
        return self.module(self.prepare(self.as_if_alone(batch, context))) + context.size


@pytest.mark.parametrize("kind", [OwnForward, OwnPrepare, SeesContext])
def test_own_experts_need_not_know_of_the_context(kind: type[ClassifierExpert]) -> None:
    plain, shown = classifier(size=8), ImageView((16, 16), 16)
    expert = kind("own", plain.module, view=plain.view, num_classes=3)
    batch = torch.randn(2, 3, 16, 16)
    derived = plain.view.from_tensor(batch, shown)
    wanted = {
        OwnForward: lambda: 2 * plain.module(derived),
        OwnPrepare: lambda: plain.module(2 * derived),
        SeesContext: lambda: plain.module(derived) + 2,
    }
    outputs = expert.run(batch, BatchContext.of(batch, CascadeSetup(input_view=shown))).outputs
    torch.testing.assert_close(outputs, wanted[kind]())


def test_a_run_that_takes_the_batch_alone_is_refused() -> None:
    with pytest.raises(OrxeError, match=r"Old.run takes the batch alone.*make it run\(batch, context=None\)"):

        class Old(Expert):
            def run(self, batch: Any) -> Any:  # type: ignore[override]
                return None


def test_experts_of_one_cascade_have_the_same_classes() -> None:
    check_same_classes([classifier(3), classifier(3)])
    with pytest.raises(OrxeError, match="must have the same classes, but they have a: 3, b: 4"):
        check_same_classes([classifier(3, name="a"), classifier(4, name="b")])


class FeatureMean(MaxSoftmax):
    """Looks at features, as a ranking gate does."""

    needs_features = True

    def forward(self, outputs: Tensor, features: Tensor | None = None) -> Tensor:
        assert features is not None
        return features.mean(dim=1).sigmoid()


def test_features_are_caught_where_the_layer_is() -> None:
    expert = classifier()
    expert.confidence = FeatureMean()
    batch = torch.randn(4, 3, 8, 8)
    with pytest.raises(OrxeError, match="expert 'net' exposes no features"):
        expert.run(batch)
    expert.feature_layer = FeatureLayer("2", "input")
    features = expert.module[:2](batch)  # type: ignore[index]
    torch.testing.assert_close(expert.run(batch).confidence, features.mean(dim=1).sigmoid())
    context = BatchContext.of(batch)
    with expert.tap_features(context, always=True) as tap:
        assert tap is not None
        expert.outputs_for(batch, context)
        assert tap.features(4).shape == (4, 12)
    assert not expert.module[2]._forward_pre_hooks  # type: ignore[index]
