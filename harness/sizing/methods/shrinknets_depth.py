"""*ShrinkNets* (Leclerc, Castro Fernandez, Madden), section 5: gates on residual blocks as well as on units.

The paper leaves learning the depth to future work. A block computes act(x + max(0, gate) * branch(x)), its
gate is penalised as those of units are, and a block whose gate dies is taken out whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Situation, SizingMethod, State
from harness.sizing.blocks import LOOKED_AT, check_has_blocks, is_within, removable_at_start, structure_text
from harness.sizing.methods.shrinknets import ShrinkNets, of_live_gates

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.surgery.edits import Edit

_GATE = ".block_gate"


@dataclass(frozen=True)
class ShrinkNetsDepth(ShrinkNets):
    """Oversized residual networks that shed blocks as well as units while they train (*ShrinkNets*, section
    5); searched is one penalty, lambda, of both.

    units, blocks: what has gates; at least one of them.
    block_price: what a block's gate costs, in units of lambda.

    Other options: of `shrinknets`; `removal_probability` and `remove_every_steps` hold for blocks too. Which
    blocks survive is in the record's `stop_reason`.
    """

    units: bool = True
    blocks: bool = True
    block_price: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.units or self.blocks):
            raise ValueError("units and blocks cannot both be left without gates")
        if not 0 < self.block_price < float("inf"):
            raise ValueError(f"block_price must be above 0 and finite, found {self.block_price:g}")

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        super().check(cell, space)
        if self.blocks:
            check_has_blocks(cell)

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        most, blocks = cell.start, removable_at_start(cell) if self.blocks else ()
        least = max(1, self.min_units)
        return {
            layer: (
                0 if is_within(layer, blocks) else least if self.units else most[layer],
                most[layer],
            )
            for layer in cell.architecture.sized_layers
        }

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        import torch

        from harness.sizing.gates.blocks import attach_block_gates, places_for_block_gates

        if self.units:
            network, state = super().build(cell, params)
        else:
            network, state = SizingMethod.build(self, cell, params)[0], {"places": {}}
        if self.blocks:
            x = torch.randn(LOOKED_AT, *cell.example_shape)
            ends = places_for_block_gates(network, x).ends
            initial = None
            if self.gate == "debounced":
                initial = {block: 2 * float(torch.rand(())) - 1 for block in ends}
            attach_block_gates(network, ends, x, initial, self._rule())
        return network, state

    def penalty(self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]") -> "Tensor | None":
        if self.step == "proximal":
            return None
        total = super().penalty(tensors, of_live_gates(numbers, tensors))
        price, rule = numbers["lambda"] * self.block_price, self._rule()
        for gate in _block_gates(tensors).values():
            own = price * rule.factor(gate).abs()
            total = own if total is None else total + own
        return total

    def penalty_gradient(
        self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]"
    ) -> "Mapping[str, Tensor] | None":
        found = super().penalty_gradient(tensors, of_live_gates(numbers, tensors))
        if found is None:
            return None
        price = numbers["lambda"] * self.block_price
        return {
            **found,
            **{
                name: (gate > 0 if self.gate == "rectified" else gate.detach().sign()) * price
                for name, gate in _block_gates(tensors).items()
            },
        }

    def after_step(
        self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]", learning_rate: float
    ) -> "Mapping[str, Tensor]":
        changed: dict[str, Tensor] = {}
        if self.step == "proximal":
            size = learning_rate * numbers["lambda"] * self.block_price
            for name, gate in _block_gates(tensors).items():
                shrunk = gate.sign() * (gate.abs() - size).clamp(min=0)
                changed[name] = shrunk if self.gate == "debounced" else shrunk.where(gate > 0, gate)
        live = of_live_gates(numbers, tensors)
        return {**changed, **super().after_step({**tensors, **changed}, live, learning_rate)}

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        import torch

        from harness.sizing.gates.blocks import dead_blocks
        from harness.surgery.edits import RemoveBlock, Stop

        if now.moment.step == 0:
            return now.state, ()
        emptied, dead = list(now.state.get("gone", ())), dead_blocks(now.network)
        if self.removal_probability < 1:
            drawn = torch.rand(len(dead), generator=now.generator) < self.removal_probability
            dead = tuple(block for block, goes in zip(dead, drawn.tolist(), strict=True) if goes)
        state, units = super().edits(now)
        edits: list[Edit] = [*(RemoveBlock(block) for block in dead), *units]
        if now.moment.phase_ended:
            edits.append(Stop(structure_text(now.network, dead, emptied)))
        return {**state, "gone": [*emptied, *dead]}, edits


def _block_gates(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    return {name: tensor for name, tensor in tensors.items() if name.endswith(_GATE)}
