"""ShrinkNets (Leclerc, Castro Fernandez, Madden): gates on every unit, one penalty, dead units removed.

Every sized layer's output is multiplied, unit by unit, by max(0, gate); lambda times the sum of those
multipliers is added to the loss (equation 2 in its last form). A unit whose gate is not above zero when an
epoch ends is dead and is taken out of the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sizing.base import Cell, Params, Situation, SizingMethod, State
from harness.space import Domain, Float

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class ShrinkNets(SizingMethod):
    """Oversized networks that shed units while they train; searched is one penalty, lambda.

    Starts at `start` of every layer, its upper bound unless the study says other.

    min_units: a layer keeps at least this many units, those with the largest gates. With 0 a layer may die,
    and the trial ends as `collapsed`.
    """

    min_units: int = 1

    def __post_init__(self) -> None:
        if self.min_units < 0:
            raise ValueError(f"min_units must not be negative, found {self.min_units}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"lambda": Float(1e-5, 1e-2, log=True)}

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return {
            layer: (max(1, self.min_units), cell.start[layer]) for layer in cell.architecture.sized_layers
        }

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: cell.start[layer] for layer in cell.architecture.sized_layers}

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        from harness.sizing.gates import attach_gates

        network, state = super().build(cell, params)
        attach_gates(network, cell.architecture.sized_layers)
        return network, state

    def penalty(self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]") -> "Tensor | None":
        import torch

        gates = [tensor for name, tensor in tensors.items() if name.endswith(".gate")]
        return numbers["lambda"] * torch.cat(gates).relu().sum()

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.sizing.gates import gates
        from harness.surgery.edits import Remove

        if not now.moment.epoch_ended:
            return now.state, ()
        proposed = []
        for layer, gate in gates(now.network).items():
            keep = max(int((gate > 0).sum()), min(self.min_units, len(gate)))
            if keep < len(gate):
                weakest = gate.detach().argsort(stable=True)[: len(gate) - keep]
                proposed.append(Remove(layer, tuple(sorted(weakest.tolist()))))
        return now.state, proposed
