"""The exits' network, its loss, and how it is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from orxe_plugins.cost.macs import count_macs
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn import ExitNetwork, ExitSettings, NetworkShape, TrainedExits, exit_loss, load_exits, save_exits
from orxe_plugins.esn.backbone import StageCache
from orxe_plugins.esn.fit import ExitInputs, fit_exits

WIDTHS = (6, 10, 14)


def shape_of(saver_width: int | None = 5, layers: int = 2, dim: int = 16) -> NetworkShape:
    return NetworkShape((0, 2, 3), WIDTHS, 4, saver_width, dim=dim, layers=layers, heads=8)


def woken(shape: NetworkShape) -> ExitNetwork:
    """A network whose heads are no longer at zero."""
    network = ExitNetwork(shape).eval()
    for head in network.heads:
        torch.nn.init.normal_(head.weight)
    return network


def inputs_of(shape: NetworkShape, batch: int = 7) -> tuple[list[Tensor], Tensor | None]:
    widths = [*([] if shape.saver_width is None else [shape.saver_width]), *shape.widths]
    features = [torch.randn(batch, width) for width in widths]
    return features, None if shape.saver_width is None else torch.randn(batch, shape.num_classes)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_an_untrained_exit_answers_as_the_saver_does(layers: int) -> None:
    shape = shape_of(layers=layers)
    features, saver = inputs_of(shape)
    assert saver is not None
    assert torch.equal(ExitNetwork(shape)(features, saver), saver[:, None].expand(-1, 3, -1))


@given(layers=st.integers(0, 3), saver=st.booleans(), exit_index=st.integers(0, 2), dim=st.sampled_from([8, 32, 128]))
def test_an_exit_alone_is_the_exit_among_all_and_sees_no_later_stage(
    layers: int, saver: bool, exit_index: int, dim: int
) -> None:
    shape = shape_of(5 if saver else None, layers, dim)
    network = woken(shape)
    features, logits = inputs_of(shape)
    known = exit_index + 1 + saver
    with torch.inference_mode():
        alone = network.answer(features[:known], logits)
        torch.testing.assert_close(alone, network(features, logits)[:, exit_index], rtol=1e-4, atol=1e-4)
        changed = [*features[:known], *(torch.randn_like(part) for part in features[known:])]
        torch.testing.assert_close(network(changed, logits)[:, exit_index], alone, rtol=1e-4, atol=1e-4)


def test_a_token_sees_the_savers_and_its_own_stage() -> None:
    shape = shape_of()
    network = woken(shape)
    features, logits = inputs_of(shape)
    before = network.answer(features[:3], logits)
    for place in range(3):
        changed = [part + 1 if i == place else part for i, part in enumerate(features[:3])]
        assert not torch.allclose(network.answer(changed, logits), before)


@pytest.mark.parametrize(("layers", "macs"), [(0, 10 * 16 + 16 * 4), (1, None)])
def test_operations_of_one_exit(layers: int, macs: int | None) -> None:
    shape = shape_of(layers=layers)
    network = ExitNetwork(shape)

    class One(torch.nn.Module):
        def forward(self, features: list[Tensor]) -> Tensor:
            return network.answer(features)

    if macs is None:  # three embeddings; key and value of three tokens; the rest for the last token alone
        d = 16
        macs = (5 + 6 + 10) * d + 3 * 2 * d * d + 2 * 3 * d + (1 + 1 + 8) * d * d + d * 4
    assert count_macs(One(), [part[:1] for part in inputs_of(shape)[0][:3]]) == macs


def test_loss_counts_a_sample_as_little_as_the_saver_is_sure_of_it() -> None:
    logits = torch.randn(2, 3, 4)
    targets = torch.tensor([1, 2])
    saver = torch.tensor([[100.0, 0, 0, 0], [0, 0, 0, 0]])
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets[:, None].expand(-1, 3), reduction="none")
    # The first weighs 2 (1 - 1), the second 2 (1 - 1/4).
    torch.testing.assert_close(exit_loss(logits, targets, saver), 1.5 * each[1].sum() / 2)
    torch.testing.assert_close(exit_loss(logits, targets), each.sum() / 2)
    soft = torch.nn.functional.one_hot(targets, 4).float()
    torch.testing.assert_close(exit_loss(logits, soft, saver), exit_loss(logits, targets, saver))


def data(n: int = 600) -> ExitInputs:
    """A saver that knows nothing, and stages of which the second tells the class."""
    targets = torch.randint(0, 4, (n,))
    features = [torch.randn(n, width) for width in (5, *WIDTHS)]
    features[2][:, :4] += 3 * torch.nn.functional.one_hot(targets, 4)
    return ExitInputs(features, torch.zeros(n, 4), targets)


def test_training_teaches_exits_what_their_stages_know_and_is_repeatable() -> None:
    inputs = data()
    settings = ExitSettings(dim=16, epochs=6, warmup_epochs=2, lr=1e-2)
    network = fit_exits(inputs, shape_of(), settings)
    new = data()
    correct = (network(new.features, new.saver_logits).argmax(-1) == new.targets[:, None]).float().mean(dim=0)
    assert correct[0] < 0.5 and correct[1] > 0.9 and correct[2] > 0.9
    again = fit_exits(inputs, shape_of(), settings)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_defaults_are_those_of_table_7() -> None:
    settings = ExitSettings()
    schedule = settings.schedule()
    assert (settings.lr, settings.heads, settings.epochs, settings.warmup_epochs) == (6.25e-4, 8, 10, 20)
    assert schedule.epochs == 30 and schedule.warmup == pytest.approx(2 / 3)


def test_files_give_the_network_back(tmp_path: Path) -> None:
    network = woken(shape_of())
    save_exits(TrainedExits(network, "base", "saver"), tmp_path / "exits.safetensors")
    back = load_exits(tmp_path / "exits.safetensors")
    features, logits = inputs_of(network.shape)
    assert (back.base, back.saver, back.network.shape) == ("base", "saver", network.shape)
    assert torch.equal(back.network(features, logits), network(features, logits))
    with pytest.raises(OrxeError, match="cannot be read"):
        load_exits(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": (2, 1, 3)}, "rising"),
        ({"stages": ()}, "rising"),
        ({"stages": (1, 2)}, "3 widths for 2 stages"),
        ({"dim": 12}, "divides"),
        ({"layers": -1}, "at least 0"),
    ],
)
def test_impossible_shapes_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(OrxeError, match=message):
        NetworkShape(**{**shape_of().to_dict(), **change})  # type: ignore[arg-type]


class Adder:
    """A backbone of four stages that add 1, and remember how many rows they saw."""

    def __init__(self) -> None:
        self.model = torch.nn.Identity()
        self.names, self.widths, self.shapes = ("a", "b", "c", "d"), (1,) * 4, ((1,),) * 4
        self.rows = [0] * 4

    def stage(self, index: int, values: Tensor) -> Tensor:
        self.rows[index] += len(values)
        return values + 1

    def pool(self, index: int, values: Tensor) -> Tensor:
        return values

    def head(self, values: Tensor) -> Tensor:
        return values


@given(st.data())
def test_whatever_rows_come_in_whatever_order_each_stage_sees_each_row_once(draws: st.DataObject) -> None:
    size = draws.draw(st.integers(1, 6))
    batch = torch.arange(size).float()[:, None] * 10
    backbone = Adder()
    farthest = [-1] * size
    cache = StageCache(backbone, size)
    for stage in sorted(draws.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))):
        chosen = draws.draw(st.one_of(st.none(), st.lists(st.integers(0, size - 1), min_size=1, unique=True)))
        rows = None if chosen is None else torch.tensor(sorted(chosen))
        index = torch.arange(size) if rows is None else rows
        values = cache.output_of(stage, rows, lambda some: batch if some is None else batch[some])
        assert torch.equal(values, batch[index] + stage + 1)
        for row in index.tolist():
            farthest[row] = max(farthest[row], stage)
        for before in range(stage + 1):
            assert torch.equal(cache.pooled([before], rows)[0], batch[index] + before + 1)
    assert backbone.rows == [sum(far >= stage for far in farthest) for stage in range(4)]
