"""*Deep Networks with Stochastic Depth* (Huang, Sun, Liu, Sedra, Weinberger): blocks dropped while training,
and none removed; what training at random depths gives without any choice of depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule, State
from harness.sizing.blocks import LOOKED_AT, check_has_blocks
from harness.sizing.controls.control import Control, lengths_of

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class StochasticDepth(Control):
    """The same network, whose residual blocks are each left out of some training steps; none is removed.

    Block l of L is kept with probability 1 - l / L (1 - `survival`), drawn for every example, and what its
    branch gives is divided by that; so evaluation needs no factor. Dropped are blocks that could be removed.
    """

    needs_origin: ClassVar[bool] = False

    survival: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.survival <= 1:
            raise ValueError(f"survival must be above 0 and at most 1, found {self.survival:g}")

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_has_blocks(cell)

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        import torch

        from harness.sizing.gates.blocks import places_for_block_gates

        network, state = super().build(cell, params)
        x = torch.randn(LOOKED_AT, *cell.example_shape)
        ends = places_for_block_gates(network, x).ends.values()
        for number, end in enumerate(ends, 1):
            kept = 1 - number / len(ends) * (1 - self.survival)
            network.get_submodule(end).register_forward_hook(_Dropped(kept))
        return network, state

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return lengths_of(schedule.origin, schedule, rates=True)


@dataclass(frozen=True)
class _Dropped:
    """A hook on the layer that a branch ends in."""

    kept: float

    def __call__(self, module: "nn.Module", given: object, made: "Tensor") -> "Tensor":
        """[batch, ...], some examples zero."""
        import torch

        if not module.training:
            return made
        shape = len(made), *(1 for _ in made.shape[1:])
        return made * (torch.rand(shape, device=made.device, dtype=made.dtype) < self.kept) / self.kept
