"""Gates, no penalty, nothing removed: what the gates alone do to training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.sizing.base import Cell, Params, Phase, Schedule, State
from harness.sizing.controls.control import Control, lengths_of
from harness.sizing.methods.shrinknets_depth import ShrinkNetsDepth

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class GatesOnly(Control):
    """The network that `shrinknets` or `shrinknets-depth` starts with, gates included, trained without its
    penalty.

    gate, position: as of `shrinknets`. units, blocks: as of `shrinknets-depth`.
    """

    needs_origin: ClassVar[bool] = False

    gate: Literal["rectified", "debounced"] = "rectified"
    position: Literal["layer", "norm"] = "layer"
    units: bool = True
    blocks: bool = False

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        gated = ShrinkNetsDepth(gate=self.gate, position=self.position, units=self.units, blocks=self.blocks)
        network, _ = gated.build(replace(cell, start=self.start_sizes(cell, params)), params)
        return network, {}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return lengths_of(schedule.origin, schedule, rates=True)
