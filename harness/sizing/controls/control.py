"""What controls have in common: no search of their own, and the lengths of another arm's trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule, SizingMethod
from harness.sizing.origin import OriginOutcome


@dataclass(frozen=True)
class Control(SizingMethod):
    """Searches nothing: its trials begin from those of the arm that `of:` names, one from each.

    Starts as that trial's network started.
    """

    needs_origin: ClassVar[bool] = True

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {}

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        # What the origin reaches is not known here; it has the same cell.
        return {
            layer: (1, max(cell.start[layer], cell.bounds[layer].high))
            for layer in cell.architecture.sized_layers
        }

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        began = cell.origin and cell.origin.start_size
        return sizes_to_build(cell, began.units if began else {})


def sizes_to_build(cell: Cell, units: Mapping[str, int]) -> dict[str, int]:
    """Sizes that the architecture can be built with: as found, and where nothing was found, or no unit of a
    layer, as the cell starts. A block may be left out where the architecture can be built without."""
    optional = getattr(cell.architecture, "sized_blocks", ())
    return {
        layer: units[layer] if units.get(layer, 0) > 0 or (layer in units and layer in optional) else start
        for layer, start in ((layer, cell.start[layer]) for layer in cell.architecture.sized_layers)
    }


def lengths_of(origin: OriginOutcome | None, schedule: Schedule, *, rates: bool) -> Sequence[Phase]:
    """As many steps as the origin trained, in as many intervals; without an origin, the study's schedule.

    Intervals without a step, in which methods only remove, are left out. Every epoch may be selected.

    Args:
        rates: with the origin's learning rates, too; else with the study's.
    """
    phases = [phase for phase in origin.phases if phase.steps_per_epoch != 0] if origin else []
    if not phases:
        return (Phase(schedule.epochs, schedule.learning_rate),)
    return [
        replace(
            phase,
            learning_rate=phase.learning_rate if rates else schedule.learning_rate,
            edit_every_steps=None,
            selectable=True,
        )
        for phase in phases
    ]
