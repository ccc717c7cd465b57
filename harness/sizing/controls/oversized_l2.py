"""The network that a method starts with, with weight decay instead of the method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule
from harness.sizing.controls.control import Control, lengths_of
from harness.sizing.methods.l2 import check_decay, decay_range


@dataclass(frozen=True)
class OversizedL2(Control):
    """Starts at `start` of every layer and stays there; searched is the weight decay, in the range of `l2`.

    What an oversized network gains by its size and a penalty alone.
    """

    needs_origin: ClassVar[bool] = False

    def space(self, cell: Cell) -> dict[str, Domain]:
        return decay_range()

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_decay(space)

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        decay = float(params["weight_decay"])
        lengths = lengths_of(schedule.origin, schedule, rates=False)
        return [replace(phase, weight_decay=decay) for phase in lengths]
