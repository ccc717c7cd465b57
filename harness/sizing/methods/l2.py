"""Sizes and weight decay searched: the classic network with an L2 penalty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.search.space import Choice, Domain, Float
from harness.sizing.base import Cell, Params, Phase, Schedule
from harness.sizing.methods.fixed import Fixed


def decay_range() -> dict[str, Domain]:
    """10^-U(2,5), the range of *ShrinkNets* (Leclerc, Castro Fernandez, Madden)."""
    return {"weight_decay": Float(1e-5, 1e-2, log=True)}


def check_decay(space: Mapping[str, Domain]) -> None:
    """Raise ValueError if the space in use holds negative decays."""
    decay = space["weight_decay"]
    least = min(map(float, decay.options)) if isinstance(decay, Choice) else decay.low
    if not least >= 0:
        raise ValueError(f"space.weight_decay: a decay must not be negative, found {least:g}")


@dataclass(frozen=True)
class L2(Fixed):
    """Classic networks with weight decay; searched are the size of each layer and the decay.

    The decay is drawn from 10^-U(2,5), the paper's range, unless the study says other. With Adam it is the L2
    penalty in the gradient, not decoupled decay; a study may name AdamW for that.
    """

    def space(self, cell: Cell) -> dict[str, Domain]:
        return super().space(cell) | decay_range()

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        super().check(cell, space)
        check_decay(space)

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return (Phase(schedule.epochs, schedule.learning_rate, weight_decay=float(params["weight_decay"])),)
