"""Gates on every unit, no penalty, nothing removed: what the gates alone do to training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.sizing.base import Cell, Params, Phase, Schedule, State
from harness.sizing.controls.control import Control, lengths_of
from harness.sizing.methods.shrinknets import ShrinkNets

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class GatesOnly(Control):
    """The network that `shrinknets` starts with, gates included, trained without its penalty.

    gate, position: as of `shrinknets`.
    """

    needs_origin: ClassVar[bool] = False

    gate: Literal["rectified", "debounced"] = "rectified"
    position: Literal["layer", "norm"] = "layer"

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        gated = ShrinkNets(gate=self.gate, position=self.position)
        network, _ = gated.build(replace(cell, start=self.start_sizes(cell, params)), params)
        return network, {}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return lengths_of(schedule.origin, schedule, rates=True)
