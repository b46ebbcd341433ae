"""Exits inside of timm models: what runs, what it costs, what is shared."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import orxe_timm  # noqa: F401
from orxe_plugins.cascade.cascade import Cascade
from orxe_plugins.cascade.file import CascadeFile, load_cascade, write_cascade
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn import ExitSettings, train_exits
from orxe_plugins.experts.measure import Timing, measure_latency
from orxe_plugins.experts.registry import ExpertSpec, load_expert, load_experts, load_untrained
from orxe_plugins.policies.policy import Policy
from orxe_plugins.records import Records
from orxe_plugins.search import fit_policies, replay
from orxe_plugins.util.trust import trusting
from orxe_timm.stages import StagedModel

STAGES = (1, 2)
N_IMAGES = 40
#: name and side of the input; a residual net, one of inverted bottlenecks, a ConvNeXt, a vision transformer
BASES = {"test_resnet": 48, "test_efficientnet": 48, "test_convnext": 48, "test_vit": 160}


def weights(name: str, file: Path, **kwargs: Any) -> None:
    """Random weights with which answers differ from image to image."""
    model = timm.create_model(name, num_classes=5, **kwargs)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.1)
    classifier = model.get_classifier()
    nn.init.normal_(classifier.weight, std=1.0)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)


class Pool:
    """Specs of a saver, of exits behind it, of plain exits and of the base's end, with files in a folder."""

    def __init__(self, folder: Path, base: str) -> None:
        side = BASES[base]
        weights("test_efficientnet", folder / "saver.safetensors")
        weights(base, folder / "base.safetensors")
        options = {"num_classes": 5, "crop_pct": 1.0}
        self.saver = ExpertSpec(
            "timm:test_efficientnet", "saver", str(folder / "saver.safetensors"), {**options, "input_size": 32}
        )
        self.options = {**options, "input_size": side}
        self.base_file = str(folder / "base.safetensors")
        self.base = base
        self.end = ExpertSpec(f"timm:{base}?exit=end", "base", self.base_file, self.options)
        self.images = torch.randint(0, 256, (N_IMAGES, 3, side, side), dtype=torch.uint8)
        targets = torch.randint(0, 5, (N_IMAGES,))
        settings = ExitSettings(dim=16, epochs=2, warmup_epochs=1, batch_size=8, lr=0.05)
        self.esn_file, self.plain_file = folder / "esn.safetensors", folder / "plain.safetensors"
        end, saver = load_expert(self.end), load_expert(self.saver)
        for file, before in ((self.esn_file, saver), (self.plain_file, None)):
            batches = zip(self.images.split(10), targets.split(10), strict=True)
            train_exits(file, end, before, STAGES, batches, settings)

    def exit(self, stage: int, plain: bool = False) -> ExpertSpec:
        saver = {"address": self.saver.address, "name": "saver", "checkpoint": self.saver.checkpoint,
                 "options": dict(self.saver.options)}  # fmt: skip
        more = {"esn": str(self.plain_file)} if plain else {"esn": str(self.esn_file), "saver": saver}
        name = f"{'plain' if plain else 'esn'}-{stage}"
        return ExpertSpec(f"timm:{self.base}?exit={stage}", name, self.base_file, {**self.options, **more})

    @property
    def specs(self) -> list[ExpertSpec]:
        return [self.saver, *(self.exit(stage) for stage in STAGES), self.end]

    def cascade(self) -> Cascade:
        cascade = Cascade(load_experts(self.specs), Policy((0.5,) * 3))
        cascade.cost_range()  # operations are counted now, not while a test counts calls
        return cascade


@pytest.fixture(scope="module", params=BASES)
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    torch.manual_seed(0)
    return Pool(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    torch.manual_seed(0)
    return Pool(tmp_path_factory.mktemp("resnet"), "test_resnet")


def confidences(cascade: Cascade, images: Tensor) -> np.ndarray:
    """Every expert's confidence of all images, (N, M)."""
    with torch.inference_mode():
        return torch.stack([expert.run(images).confidence for expert in cascade.members]).numpy()


def splitting(confidence: np.ndarray) -> Policy:
    """Thresholds by which each exit answers about a third of those that come to it."""
    left, thresholds = np.ones(confidence.shape[1], dtype=bool), []
    for row in confidence[:-1]:
        ranked = np.sort(row[left])[::-1]
        cut = len(ranked) // 3
        thresholds.append(float((ranked[cut] + ranked[cut - 1]) / 2))
        left &= row < thresholds[-1]
    return Policy(tuple(thresholds))


@contextmanager
def counted(cascade: Cascade, first: Any = None) -> Iterator[dict[str, list[int]]]:
    """Rows of each call of every stage, of the base's head and of the saver inside a ``with`` block.

    ``first`` is the expert whose backbone the cascade uses, where its end holds another one.
    """
    rows: dict[str, list[int]] = {}
    base = cascade.members[-1].module if first is None else first.backbone.model
    parts = {f"stage {i}": base.get_submodule(name) for i, name in enumerate(cascade.members[-1].backbone.names)}
    parts |= {"head": base.get_classifier(), "saver": cascade.members[0].module}
    handles = []
    for name, part in parts.items():
        rows[name] = []
        handles.append(part.register_forward_pre_hook(lambda _, x, seen=rows[name]: seen.append(len(x[0]))))
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def test_later_stages_do_not_run_for_samples_that_are_answered_before(pool: Pool) -> None:
    cascade = pool.cascade()
    cascade.policy = splitting(confidences(cascade, pool.images))
    with counted(cascade) as rows:
        _, route = cascade.route(pool.images)
    answered = Counter(route.expert.tolist())
    assert all(answered[i] for i in range(4))
    n_stages = len(cascade.members[-1].backbone.names)
    behind_saver, behind_first = N_IMAGES - answered[0], N_IMAGES - answered[0] - answered[1]
    assert rows["saver"] == [N_IMAGES]
    assert rows["stage 0"] == rows["stage 1"] == [behind_saver]
    assert rows["stage 2"] == [behind_first]
    assert [rows[f"stage {i}"] for i in range(3, n_stages)] == [[answered[3]]] * (n_stages - 3)
    assert rows["head"] == [answered[3]]


@torch.inference_mode()
def test_a_skip_past_an_exit_computes_its_stage_once_all_the_same(pool: Pool) -> None:
    cascade = pool.cascade()
    confidence = confidences(cascade, pool.images)
    skip = float(np.median(confidence[0]))
    # Only the more confident half enters the first exit, which answers none of them; none exits at the saver.
    cascade.policy = Policy((1.0, 1.0, 1.0), (0.0, skip, 0.0))
    with counted(cascade) as rows:
        out, route = cascade.route(pool.images)
    assert 0 < route.ran[:, 1].sum() < N_IMAGES
    assert sum(rows["stage 1"]) == sum(rows["stage 2"]) == rows["head"][0] == N_IMAGES
    torch.testing.assert_close(out, cascade.members[-1](pool.images), rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_routed_answers_are_those_of_each_expert_alone_and_of_replay(pool: Pool) -> None:
    alone = [load_expert(spec) for spec in pool.specs]
    answers = [expert.run(pool.images) for expert in alone]
    records = Records.from_arrays(
        [expert.name for expert in alone],
        [expert.measure_cost() for expert in alone],
        torch.stack([answer.confidence for answer in answers]),
        np.zeros((4, N_IMAGES)),
        shared_cost=[expert.shared_cost for expert in alone],
        needs=[expert.needs for expert in alone],
    )
    cascade = pool.cascade()
    for policy in (splitting(records.confidence), Policy((None, 0.4, 0.6)), Policy((0.3, 0.2, None), (0, 0.25, 0))):
        cascade.policy = policy
        out, route = cascade.route(pool.images)
        outcome = replay(records, policy)
        np.testing.assert_array_equal(route.expert, outcome.expert)
        np.testing.assert_allclose(route.cost, outcome.sample_cost, rtol=1e-12)
        assert outcome.cost == pytest.approx(route.cost.mean().item(), rel=1e-12)
        expected = torch.stack([answers[e].outputs[i] for i, e in enumerate(route.expert.tolist())])
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_cost_counted_is_cost_measured_on_every_path(pool: Pool) -> None:
    cascade = pool.cascade()
    confidence = confidences(cascade, pool.images)
    policies = [splitting(confidence), Policy((None, 1.0, None)), Policy((1.0, None, 0.0)), Policy((0.9, 1.0, 1.0))]
    paths = set()
    for policy in policies:
        cascade.policy = policy
        _, route = cascade.route(pool.images)
        for i in range(N_IMAGES):
            path = (*route.ran[i].tolist(), int(route.expert[i]))
            if path in paths:
                continue
            paths.add(path)
            # The counter does not see fused attention on a CPU.
            with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                cascade(pool.images[i : i + 1])
            assert counter.get_total_flops() == round(route.cost[i].item() * 2e9), path
    assert len(paths) >= 6


def test_an_exits_time_has_two_parts_and_neither_is_counted_twice(resnet: Pool) -> None:
    cascade = resnet.cascade()
    with counted(cascade) as rows:
        # A clock that every call of a stage or of the saver moves on by one second.
        timing = Timing(warmup=0, repeats=1, clock=lambda: float(sum(map(len, rows.values()))))
        table = measure_latency(cascade.members, lambda size: resnet.images[:size], (2,), timing=timing)
    n_stages = len(cascade.members[-1].backbone.names)
    assert {name: row[0] / 1000 for name, row in table.shared.items()} == {
        "esn-1": STAGES[0] + 1, "esn-2": STAGES[1] + 1, "base": n_stages,
    }  # fmt: skip
    own = {name: row[0] / 1000 for name, row in table.ms.items()}
    # The saver by itself; the exits' networks are no stages; the base's end has its head.
    assert own == {"saver": 1, "esn-1": 0, "esn-2": 0, "base": 1}


def test_exits_and_end_share_one_backbone_and_one_saver(pool: Pool) -> None:
    cascade = pool.cascade()
    saver, *exits, end = cascade.members
    assert all(expert.backbone is end.backbone for expert in exits)
    assert all(expert.module["model"] is end.module for expert in exits)
    parameters = {id(p) for p in cascade.parameters()}
    networks = {id(p) for expert in exits for p in expert.network.parameters()}
    assert parameters == {id(p) for e in (saver, end) for p in e.module.parameters()} | networks
    twin = copy.deepcopy(cascade)
    assert twin.members[1].backbone.model is twin.members[-1].module is not end.module
    torch.testing.assert_close(twin(pool.images), cascade(pool.images))


def test_experts_that_were_loaded_apart_share_what_they_compute_all_the_same(pool: Pool) -> None:
    together, apart = pool.cascade(), Cascade([load_expert(spec) for spec in pool.specs], Policy((0.5,) * 3))
    apart.cost_range()
    with torch.inference_mode():
        together.policy = apart.policy = splitting(confidences(together, pool.images))
        with counted(apart, apart.members[1]) as rows:
            out, route = apart.route(pool.images)
        wanted, wanted_route = together.route(pool.images)
    assert torch.equal(out, wanted) and torch.equal(route.expert, wanted_route.expert)
    answered = Counter(route.expert.tolist())
    assert sum(rows["stage 0"]) == sum(rows["stage 1"]) == N_IMAGES - answered[0]


def test_a_saved_cascade_loads_again_even_when_the_folder_moves(resnet: Pool, tmp_path: Path) -> None:
    alone = [load_expert(spec) for spec in resnet.specs]
    confidence = torch.stack([expert.run(resnet.images).confidence.detach() for expert in alone])
    records = Records.from_arrays(
        [e.name for e in alone], [e.measure_cost() for e in alone], confidence, np.random.rand(4, N_IMAGES) < 0.5,
        shared_cost=[e.shared_cost for e in alone], needs=[e.needs for e in alone],
    )  # fmt: skip
    table = fit_policies(records, (0.0, 0.5, 1.0))
    here = Path(resnet.base_file).parent
    write_cascade(here / "cascade", CascadeFile(tuple(resnet.specs), table))
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in ("saver.safetensors", "base.safetensors", "esn.safetensors", "cascade/cascade.json"):
        (moved / path).parent.mkdir(exist_ok=True)
        (moved / path).write_bytes((here / path).read_bytes())
    text = (moved / "cascade" / "cascade.json").read_text()
    assert str(here) not in text
    with pytest.raises(OrxeError, match="moved/saver.safetensors', which is outside of the folder"):
        load_cascade(moved / "cascade")
    with trusting():  # its experts' files lie beside the cascade's folder, where nobody has used any before
        model = timm.create_model("orxe_metamodel", cascade=str(moved / "cascade"), exit_thresholds=[0.4, 0.3, None])
    expected = resnet.cascade()
    expected.policy = Policy((0.4, 0.3, None))
    with torch.inference_mode():
        out, route = model.route(resnet.images)
        wanted, wanted_route = expected.route(resnet.images)
        assert model.forward_features(resnet.images).shape[1] == model.num_features
    torch.testing.assert_close(out, wanted)
    assert torch.equal(route.expert, wanted_route.expert)
    assert len(load_cascade(moved / "cascade", trust=True).members) == 4


def test_tracing_gives_the_routed_answers(resnet: Pool) -> None:
    cascade = resnet.cascade()
    cascade.policy = splitting(confidences(cascade, resnet.images))
    images = resnet.images.float() / 255
    with torch.inference_mode():
        routed = cascade(images)
        cascade.dense = True
        torch.testing.assert_close(cascade(images), routed, rtol=1e-4, atol=1e-4)
        traced = torch.jit.trace(cascade, images[:4], check_trace=False)
        torch.testing.assert_close(traced(images), routed, rtol=1e-4, atol=1e-4)


def test_plain_exits_build_on_no_saver(resnet: Pool) -> None:
    specs = [*(resnet.exit(stage, plain=True) for stage in STAGES), resnet.end]
    cascade = Cascade([load_expert(spec) for spec in specs], Policy((0.5, 0.5)))
    assert [expert.needs for expert in cascade.members] == [None] * 3
    with torch.inference_mode():
        _, route = cascade.route(resnet.images)
    assert route.cost.min() > cascade.members[0].shared_cost
    assert cascade.cost_range()[1] == pytest.approx(
        sum(e.cost for e in cascade.members) + cascade.members[-1].shared_cost
    )


def test_exits_may_be_recorded_alone_and_their_saver_disabled(resnet: Pool) -> None:
    cascade = resnet.cascade()
    cascade.policy = Policy((None, 0.0, None))
    with torch.inference_mode():
        out, route = cascade.route(resnet.images)
        alone = load_expert(resnet.exit(1))
        torch.testing.assert_close(out, alone(resnet.images), rtol=1e-4, atol=1e-4)
    saver, first = cascade.members[:2]
    assert route.cost.tolist() == pytest.approx([saver.cost + first.cost + first.shared_cost] * N_IMAGES)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "regnetx_002", "convnext_atto", "repvgg_a0",
                                  "densenet121", "swin_tiny_patch4_window7_224"])  # fmt: skip
def test_stages_one_by_one_give_the_models_own_logits(name: str) -> None:
    model = timm.create_model(name, num_classes=7).eval()
    side = 224 if "224" in name else 64
    images = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        staged = StagedModel(model, images[:1], name)
        values = images
        for i in range(len(staged.names)):
            values = staged.stage(i, values)
            assert staged.pool(i, values).shape == (2, staged.widths[i])
        torch.testing.assert_close(staged.head(values), model(images), rtol=1e-5, atol=1e-5)


def test_models_without_stages_are_refused(resnet: Pool) -> None:
    with pytest.raises(OrxeError, match="hrnet_w18_small.*cannot have exits"):
        load_untrained(ExpertSpec("timm:hrnet_w18_small?exit=end&input_size=64"))
    with pytest.raises(OrxeError, match="no intermediate features"):
        StagedModel(nn.Linear(3, 3), torch.zeros(1, 3), "mine")


class Doubled(nn.Module):
    """A model whose forward does more than its features and head."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = timm.create_model("test_resnet", num_classes=4)
        self.feature_info = self.inner.feature_info
        self.__dict__.update({name: self.inner._modules[name] for name in self.inner._modules})

    def named_modules(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner.named_modules(*args, **kwargs)

    def get_submodule(self, target: str) -> nn.Module:
        return self.inner.get_submodule(target)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.inner.forward_features(x)

    def forward_head(self, x: Tensor) -> Tensor:
        return self.inner.forward_head(x)

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.inner(x)


def test_a_model_that_answers_otherwise_in_stages_is_refused() -> None:
    with pytest.raises(OrxeError, match="answers otherwise"):
        StagedModel(Doubled(), torch.zeros(1, 3, 64, 64), "doubled")


def test_wrong_options_name_the_way_out(resnet: Pool, tmp_path: Path) -> None:
    first = resnet.exit(1)
    for change, message in (
        ({"exit": 3}, "exits behind the stages 1, 2"),
        ({"exit": True}, "expected the number of a stage"),
        ({"esn": None}, "add esn=FILE"),
        ({"saver": None}, "builds on a saver"),
        ({"saver": {"adress": "timm:resnet18"}}, "fields of an expert"),
        ({"esn": str(resnet.plain_file)}, "has no saver"),
        ({"exit": "end"}, "belong to an exit"),
        ({"exit": None}, "belong to an exit"),
        ({"esn": resnet.base_file}, "cannot be read"),
    ):
        options = {"exit": 1, **first.options, **change}
        with pytest.raises(OrxeError, match=message):
            load_expert(replace(first, address="timm:test_resnet", options=options))
    weights("test_resnet", tmp_path / "other.safetensors")
    with pytest.raises(OrxeError, match="trained in a base with other weights"):
        load_expert(replace(first, checkpoint=str(tmp_path / "other.safetensors")))
    weights("test_efficientnet", tmp_path / "saver.safetensors")
    other = replace(resnet.saver, checkpoint=str(tmp_path / "saver.safetensors"))
    with pytest.raises(OrxeError, match="trained behind a saver with other weights"):
        Cascade([load_expert(spec) for spec in (other, first, resnet.end)], Policy((0.5, 0.5)))
    with pytest.raises(OrxeError, match="builds on the answer of 'saver'"):
        Cascade([load_expert(spec) for spec in (first, resnet.end)], Policy((0.5,)))


def test_untrained_exits_can_be_counted(resnet: Pool) -> None:
    spec = resnet.exit(2)
    spec = replace(spec, checkpoint="missing.safetensors", options={**spec.options, "esn": "missing.safetensors"})
    expert = load_untrained(spec)
    assert expert.measure_cost() > 0
    assert expert.shared_cost == load_expert(resnet.exit(2)).shared_cost


def test_the_table_costs_what_replay_says_and_exits_may_all_be_disabled(resnet: Pool) -> None:
    alone = [load_expert(spec) for spec in resnet.specs]
    cost, shared = [e.measure_cost() for e in alone], [e.shared_cost for e in alone]
    chance = np.random.default_rng(0)
    m = 3000
    # The saver's confidence ranks well; exits are mostly wrong, cost much more, and know not when.
    easy = chance.random(m)
    score = np.stack([chance.random(m) < part for part in (easy, 0.2, 0.2, 0.95)])
    confidence = np.stack([easy, np.full(m, 0.5), np.full(m, 0.5), np.ones(m)])
    records = Records.from_arrays(
        [e.name for e in alone], cost, confidence, score, shared_cost=shared, needs=[e.needs for e in alone]
    )
    table = fit_policies(records, [0.0, 0.3, 0.5, 0.7, 1.0])
    for row in table.rows:
        outcome = replay(records, row.policy)
        assert row.cost == pytest.approx(outcome.cost, rel=1e-9)
        assert outcome.run_share[1] == outcome.run_share[2] == 0
