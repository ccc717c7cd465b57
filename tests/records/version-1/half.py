"""A plug-in of the time of version 1: train, then remove half of each layer, then train on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.sizing.base import Params, Phase, Schedule, Situation, State
from harness.sizing.fixed import Fixed
from harness.surgery.edits import Remove


@dataclass(frozen=True)
class Half(Fixed):
    """Networks that lose half of every layer halfway through training."""

    def reach(self, cell: Any, space: Any) -> dict[str, tuple[int, int]]:
        ends = super().reach(cell, space).items()
        return {layer: (low - low // 2, high - high // 2) for layer, (low, high) in ends}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        before = schedule.epochs // 2
        return (
            Phase(before, schedule.learning_rate, selectable=False, name="before"),
            Phase(schedule.epochs - before, schedule.learning_rate, name="after"),
        )

    def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
        if now.moment.phase > 0 or not now.moment.phase_ended:
            return now.state, ()
        edits = []
        for layer in now.cell.architecture.sized_layers:
            norms = now.network.get_submodule(layer).weight.detach().flatten(1).norm(dim=1)
            edits.append(Remove(layer, tuple(norms.argsort()[: len(norms) // 2].tolist())))
        return now.state, edits


METHODS = {"half": Half}
