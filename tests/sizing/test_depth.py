"""Choosing depth: a method of one's own proposes dead blocks, and the training loop takes them out whole."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.architectures.base import Architecture
from harness.extraction.plain import make_plain
from harness.search.space import Domain, Float
from harness.sizing.base import Cell, Params, Schedule, Situation, SizingMethod, State
from harness.sizing.gates.blocks import attach_block_gates, block_gates, dead_blocks, places_for_block_gates
from harness.sizing.ledger.measure import measure
from harness.surgery import RemoveBlock
from harness.training import loop
from harness.training.fault import TrialFaultError
from harness.training.journal import Journal
from tests.training.small import CLASSES, FEATURES, Trained, a_job, a_split, trained

_WIDTH, _HIDDEN = 6, 7
#: Two weight matrices, and what the normalisations shift and scale.
_OF_A_BLOCK = 2 * _WIDTH * _HIDDEN + 2 * _HIDDEN + 2 * _WIDTH
_OF_THE_REST = FEATURES * _WIDTH + _WIDTH + _WIDTH * CLASSES + CLASSES


class Block(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.wide = nn.Linear(_WIDTH, hidden, bias=False)
        self.norm1 = nn.BatchNorm1d(hidden)
        self.narrow = nn.Linear(hidden, _WIDTH, bias=False)
        self.norm2 = nn.BatchNorm1d(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(x + self.norm2(self.narrow(self.norm1(self.wide(x)).relu())))


@dataclass(frozen=True)
class Residual(Architecture):
    """Residual blocks of vectors that may each be absent, and the width within the first of them."""

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("block1", "block2", "block1.wide")

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> nn.Module:
        (features,) = example_shape
        network = nn.Sequential()
        network.add_module("stem", nn.Linear(features, _WIDTH))
        network.add_module("relu", nn.ReLU())
        network.add_module("block1", Block(sizes["block1.wide"]) if sizes["block1"] else nn.Identity())
        network.add_module("block2", Block(_HIDDEN) if sizes["block2"] else nn.Identity())
        network.add_module("output", nn.Linear(_WIDTH, outputs))
        return network


@dataclass(frozen=True)
class Depth(SizingMethod):
    """A gate on every block, lambda times their sum in the loss, and dead blocks removed."""

    start: tuple[float, float] = (0.1, 0.9)

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"lambda": Float(1e-3, 1e3, log=True)}

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return {layer: (0, size) for layer, size in self.start_sizes(cell, {}).items()}

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {"block1": 1, "block2": 1, "block1.wide": _HIDDEN}

    def build(self, cell: Cell, params: Params) -> tuple[nn.Module, State]:
        network, state = super().build(cell, params)
        example = torch.randn(8, *cell.example_shape)
        blocks = places_for_block_gates(network, example).ends
        attach_block_gates(network, blocks, example, dict(zip(blocks, self.start, strict=True)))
        return network, state

    def penalty(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> Tensor | None:
        gates = [gate.relu() for name, gate in tensors.items() if name.endswith(".block_gate")]
        return numbers["lambda"] * torch.stack(gates).sum() if gates else None

    def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
        return now.state, [RemoveBlock(block) for block in dead_blocks(now.network)]


class Watching(Depth):
    """The control: gates die alike, and nothing is taken out."""

    def after_step(
        self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor], learning_rate: float
    ) -> Mapping[str, Tensor]:
        # Held far below zero, no memory of the optimizer opens a gate again.
        return {
            name: torch.full_like(gate, -1e9)
            for name, gate in tensors.items()
            if name.endswith(".block_gate") and gate <= 0
        }

    def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
        return now.state, ()


CELL = Cell(Residual(), (FEATURES,), CLASSES, {}, {})


def run(method: Depth, penalty: float, epochs: int, **changes: Any) -> Trained:
    """Train with Adam at 0.01 on 20 examples in batches of 5: a gate under a penalty loses 0.04 an epoch."""
    params = {"lambda": penalty}
    phases = method.phases(params, Schedule(epochs, 0.01))
    job = a_job(method, params=params, phases=phases, optimizer="Adam", batch_size=5, cell=CELL)
    return trained(replace(job, **changes))


def test_blocks_die_under_a_large_penalty_and_the_ledger_shrinks_with_them() -> None:
    left = run(Depth(), 100.0, epochs=30)
    assert left.error is None
    assert left.journal.test_score is not None
    units = [tuple(epoch.size.units.values()) for epoch in left.journal.epochs]
    assert sorted(set(units), reverse=True) == [(1, 1, _HIDDEN), (0, 1, 0), (0, 0, 0)]
    assert units == sorted(units, reverse=True)
    for epoch in left.journal.epochs:
        depth = epoch.size.units["block1"] + epoch.size.units["block2"]
        assert epoch.size.parameters == _OF_THE_REST + depth * _OF_A_BLOCK
        assert epoch.size.macs == FEATURES * _WIDTH + _WIDTH * CLASSES + depth * 2 * _WIDTH * _HIDDEN
    events = left.journal.events
    assert [event.account for event in events] == [{"blocks": ("block1",)}, {"blocks": ("block2",)}]
    # From 0.1 and 0.9 at 0.04 an epoch.
    assert events[0].epoch == pytest.approx(3, abs=1)
    assert events[1].epoch == pytest.approx(23, abs=3)
    assert not block_gates(left.network)
    assert {name.split(".")[0] for name, _ in left.network.named_parameters()} == {"stem", "output"}


def test_without_a_penalty_all_blocks_stay() -> None:
    left = run(Depth((0.5, 0.9)), 0.0, epochs=5)
    assert left.error is None
    assert left.journal.epochs[-1].size.units == {"block1": 1, "block2": 1, "block1.wide": _HIDDEN}
    assert not left.journal.events


def test_removal_changes_nothing_of_what_is_learned() -> None:
    shrinking, held = run(Depth(), 100.0, epochs=12), run(Watching(), 100.0, epochs=12)
    assert [event.account["blocks"] for event in shrinking.journal.events] == [("block1",)]
    for shrunk, whole in zip(shrinking.journal.epochs, held.journal.epochs, strict=True):
        assert (shrunk.train_loss, shrunk.val_loss) == pytest.approx((whole.train_loss, whole.val_loss), 1e-4)
    assert (
        held.journal.epochs[-1].size.parameters - shrinking.journal.epochs[-1].size.parameters == _OF_A_BLOCK
    )


def test_what_is_left_is_the_network_that_its_architecture_builds_without_the_block() -> None:
    left = run(Depth(), 100.0, epochs=8)
    size = left.journal.epochs[-1].size
    assert size.units == {"block1": 0, "block2": 1, "block1.wide": 0}
    plain = make_plain(left.network, Residual(), (FEATURES,), CLASSES, size.units, a_split().test.x[:])
    assert isinstance(plain.network.get_submodule("block1"), nn.Identity)
    assert sum(parameter.numel() for parameter in plain.network.parameters()) == size.parameters


def test_weight_decay_spares_gates_of_blocks() -> None:
    job = a_job(Depth(), params={"lambda": 1.0}, cell=CELL, batch_size=5)
    network, state = job.method.build(CELL, job.params)
    training = loop._Training(job, network, state, Journal(), lambda epoch: None)
    spared = [group["params"] for group in training.step.optimizer.param_groups if not group["decays"]]
    assert [[id(own) for own in own_group] for own_group in spared] == [
        [id(gate) for gate in block_gates(network).values()]
    ]


def test_a_sized_layer_that_never_was_is_still_an_error() -> None:
    @dataclass(frozen=True)
    class Misnamed(Residual):
        @property
        def sized_layers(self) -> tuple[str, ...]:
            return ("block3",)

    left = run(Depth(), 1.0, 1, cell=replace(CELL, architecture=Misnamed()))
    assert isinstance(left.error, TrialFaultError)
    assert isinstance(left.error.cause, AttributeError)


def test_a_module_without_units_is_no_sized_layer() -> None:
    network = nn.Sequential(OrderedDict(layer=nn.Linear(4, 3), act=nn.ReLU()))
    assert measure(network, ["layer"], 0).units == {"layer": 3}
    with pytest.raises(AttributeError):
        measure(network, ["act"], 0)
