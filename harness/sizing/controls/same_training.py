"""The network that a method starts with, trained as long: what more training does without the method."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.sizing.base import Params, Phase, Schedule
from harness.sizing.controls.control import Control, lengths_of


@dataclass(frozen=True)
class NoRemoval(Control):
    """The same network, trained for the same iterations at the study's rate; nothing is removed."""

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return lengths_of(schedule.origin, schedule, rates=False)


@dataclass(frozen=True)
class RestartScheduleOnly(Control):
    """The same network, trained with the origin's rates and lengths; nothing is reset or removed."""

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return lengths_of(schedule.origin, schedule, rates=True)
