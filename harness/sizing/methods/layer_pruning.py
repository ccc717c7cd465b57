"""Whole residual blocks go (*Self-Optimizing Networks* (Lee), section 4.1): the least efficient first.

The paper takes out layers whose efficiency lies below a bound, leaves it undefined, and has no numbers. A
bound on losses means something else in every network, so here a quantile of the blocks goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.search.space import Domain, Float
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State
from harness.sizing.blocks import (
    LOOKED_AT,
    Cost,
    Worth,
    check_has_blocks,
    check_quantile,
    check_worth,
    number_to_go,
    reach_without_blocks,
    removable_blocks,
    structure_text,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class LayerPruning(SizingMethod):
    """Residual networks that lose whole blocks (*Self-Optimizing Networks*); searched is how many, as a
    quantile of those that may go.

    Trains the network at `start`, takes out the blocks of least efficiency in `rounds`, and retrains after
    each. A block's efficiency is its worth over its cost, by what is measured on `examples` of the training
    part. Selected is the network after the last round; which blocks survive is in the record's `stop_reason`.

    worth: "bypass", the loss without the block less that with it; "size", |f(x)| / |x| of x + f(x); or
    "gate", the size of a factor of the branch that is learned under `gate_penalty` times the sum of all.
    cost: "parameter", "mac" (multiply-accumulates), or "block", 1 each.
    retrain_epochs: after each round; 0 for none. retrain_rate: factor of the learning rate in them.
    """

    controls: ClassVar[tuple[str, ...]] = (
        "no-removal",
        "random-removal",
        "stochastic-depth",
        "scratch-e",
    )

    worth: Worth = "bypass"
    cost: Cost = "parameter"
    examples: int = 512
    rounds: int = 2
    retrain_epochs: int = 1
    retrain_rate: float = 1.0
    gate_penalty: float = 1e-3

    def __post_init__(self) -> None:
        check_worth(self.worth, self.cost, self.examples)
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, found {self.rounds}")
        if self.retrain_epochs < 0:
            raise ValueError(f"retrain_epochs must not be negative, found {self.retrain_epochs}")
        for name in ("retrain_rate", "gate_penalty"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number from 0 up, found {getattr(self, name)}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"quantile": Float(0.1, 0.9)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_has_blocks(cell)
        check_quantile(space)

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return reach_without_blocks(cell)

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: cell.start[layer] for layer in cell.architecture.sized_layers}

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        network, state = super().build(cell, params)
        if self.worth == "gate":
            import torch

            from harness.sizing.gates.blocks import attach_block_gates

            x = torch.randn(LOOKED_AT, *cell.example_shape)
            attach_block_gates(network, removable_blocks(network, x), x, 1.0)
        return network, state

    def penalty(self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]") -> "Tensor | None":
        gates = [gate.abs() for name, gate in tensors.items() if name.endswith(".block_gate")]
        return self.gate_penalty * sum(gates[1:], gates[0]) if gates else None

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        rate, again = schedule.learning_rate, self.retrain_epochs
        phases = [Phase(schedule.epochs, rate, selectable=False)]
        for number in range(1, self.rounds + 1):
            last = number == self.rounds
            phases.append(Phase(1, rate, steps_per_epoch=0, selectable=last and not again, name="remove"))
            if again:
                phases.append(Phase(again, rate * self.retrain_rate, selectable=last, name="retrain"))
        return phases

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.sizing.criteria.efficiency import efficiencies
        from harness.surgery.edits import RemoveBlock, Stop

        index, state, emptied = now.moment.phase, now.state, list(now.state.get("gone", ()))
        per_round = 2 if self.retrain_epochs else 1
        is_end = index == per_round * self.rounds and now.moment.phase_ended
        gone: list[str] = []
        if index > 0 and (per_round == 1 or index % 2 == 1):
            blocks = removable_blocks(now.network, now.probe.part.x[:LOOKED_AT])
            there = state.get("there", len(blocks))
            number = 1 + (index - 1) // per_round
            due = number_to_go(float(now.params["quantile"]) * number / self.rounds, there) - len(emptied)
            worths = efficiencies(now, blocks, self.worth, self.cost, self.examples)
            gone = sorted(blocks, key=lambda block: worths[block])[: max(0, due)]
            state = {"there": there, "gone": [*emptied, *gone]}
        edits: list[Edit] = [RemoveBlock(block) for block in gone]
        if is_end:
            edits.append(Stop(structure_text(now.network, gone, emptied)))
        return state, edits
