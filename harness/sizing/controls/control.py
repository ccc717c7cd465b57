"""What controls have in common: no search of their own, another arm's lengths, and its counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod
from harness.sizing.origin import OriginEdit, OriginOutcome

if TYPE_CHECKING:
    from harness.surgery.edits import Mask


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


def phases_of(schedule: Schedule) -> Sequence[Phase]:
    """The origin's phases as they were run; without an origin, the study's schedule."""
    origin = schedule.origin
    return origin.phases if origin and origin.phases else lengths_of(None, schedule, rates=False)


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


def held_by(edits: Iterable[OriginEdit]) -> dict[str, int]:
    """Parameter -> entries that the edits have come to hold at zero, less those that they freed again."""
    counts: Counter[str] = Counter()
    for edit in edits:
        counts.update(edit.masked)
        counts.subtract(edit.unmasked)
    return {path: count for path, count in counts.items() if count > 0}


def random_masks(now: Situation, counts: Mapping[str, int]) -> "list[Mask]":
    """So many more entries of each parameter held at zero, random ones of those that are free.

    Parameters that the network does not have are let be.
    """
    import torch

    from harness.surgery.edits import Mask
    from harness.surgery.masking import mask_at

    parameters = dict(now.network.named_parameters())
    masks: list[Mask] = []
    for path, count in counts.items():
        if path not in parameters:
            continue
        held = mask_at(now.network, path)
        keep = torch.ones(parameters[path].shape, dtype=torch.bool) if held is None else held.cpu().clone()
        free = keep.flatten().nonzero().flatten()
        keep.view(-1)[free[torch.randperm(len(free), generator=now.generator)[:count]]] = False
        masks.append(Mask(path, keep))
    return masks
