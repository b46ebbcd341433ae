"""First requests from several threads at once, and one thread that switches preferences meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from orxe_plugins import Cascade, Expert, OrxeWarning, Policy, PolicyRow, PolicyTable

THREADS = 8


def modules(seed: int) -> list[nn.Module]:
    torch.manual_seed(seed)
    attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return [nn.Linear(8, 3), nn.Sequential(nn.Unflatten(1, (1, 8)), attention, nn.Flatten(), nn.Linear(8, 3))]


def at_once(cascade: Cascade, batch: Tensor, rounds: int = 1) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Outputs, experts and costs of the first requests of several threads."""
    barrier = threading.Barrier(THREADS)

    def ask() -> list[tuple[Tensor, Tensor, Tensor]]:
        barrier.wait(30)
        found = []
        with torch.no_grad():
            for _ in range(rounds):
                outputs, route = cascade.route(batch)
                found.append((outputs, route.expert, route.cost))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        return [one for future in [pool.submit(ask) for _ in range(THREADS)] for one in future.result()]


@pytest.mark.parametrize("seed", range(4))
def test_first_requests_of_eight_threads_are_right_and_their_costs_known(seed: int) -> None:
    batch = torch.randn(6, 8)
    lone = Cascade.from_modules(modules(seed), [0.5])
    with torch.no_grad():
        outputs, route = lone.route(batch)
    cascade = Cascade.from_modules(modules(seed), [0.5])
    for found, expert, cost in at_once(cascade, batch):
        torch.testing.assert_close(found, outputs)
        assert torch.equal(expert, route.expert) and torch.equal(cost, route.cost)
    assert not route.cost.isnan().any() and set(route.cost.tolist()) <= {24e-9, 24e-9 + lone.members[1].cost}
    for module in cascade.experts:
        assert {value.device.type for value in module.parameters()} == {"cpu"}
        assert all(value.requires_grad for value in module.parameters()), "counting changed the model"


def test_every_answer_belongs_to_one_policy_while_a_thread_switches() -> None:
    rows = [(0.0, Policy((0.0,))), (1.0, Policy((None,)))]
    table = PolicyTable(
        tuple(PolicyRow(p, policy, 1.0 + p, 0.8 + p / 10) for p, policy in rows),
        reference_cost=2.0,
        reference_score=0.9,
    )
    experts = [Expert("a", nn.Linear(8, 3), cost=1.0), Expert("b", nn.Linear(8, 3), cost=2.0)]
    cascade = Cascade(experts, table=table)
    over = threading.Event()

    def switch() -> None:
        while not over.is_set():
            for preference in (0.0, 1.0):
                cascade.set_preference(preference)

    switching = threading.Thread(target=switch)
    switching.start()
    try:
        found = at_once(cascade, torch.randn(5, 8), rounds=40)
        streamed = list(cascade.stream(torch.randn(300, 8), batch_size=16))
    finally:
        over.set()
        switching.join()
    for _, expert, cost in found:
        assert expert.tolist() in ([0] * 5, [1] * 5) and cost.tolist() == [1.0 + expert[0].item()] * 5
    assert {(answer.expert, answer.cost) for answer in streamed} <= {(0, 1.0), (1, 2.0)}


class Moody(nn.Module):
    """Cannot be copied, and counts as nothing."""

    def __deepcopy__(self, memo: object) -> Moody:
        raise TypeError("no copies")

    def forward(self, batch: Tensor) -> Tensor:
        if batch.shape[0] == 1:
            raise RuntimeError("not for one alone")
        return batch


def test_a_cost_that_cannot_be_counted_is_nan_and_said_once() -> None:
    cascade = Cascade.from_modules([Moody()], [])
    batch = torch.randn(4, 3)
    for _ in range(2):
        assert cascade.route(batch)[1].cost.isnan().all()
    with pytest.warns(OrxeWarning, match="the cost of expert 'Moody-0' cannot be counted and is NaN in every route"):
        cascade.route(batch)
    assert cascade.route(batch)[1].cost.isnan().all()
