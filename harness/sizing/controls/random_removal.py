"""As much removed as by a method, from the same places at the same moments, but chosen at random."""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sizing.base import Params, Phase, Schedule, Situation, State
from harness.sizing.controls.control import Control, held_by, phases_of, random_masks
from harness.sizing.origin import OriginEdit, OriginOutcome

if TYPE_CHECKING:
    from harness.surgery.edits import Edit, Mask, Remove


@dataclass(frozen=True)
class RandomRemoval(Control):
    """The origin's counts of units and single weights, by layer and moment, and of blocks, by moment, of
    random ones: of blocks any that can be left out.

    remove_idle_units: what the origin has lost of units its deletions of weights had left idle; taken out
    here are the units that the random deletions leave idle.

    Units of layers that a block has taken with it here, and not there, are let be. Trained with the origin's
    phases. Of coupled layers a unit is chosen once and goes everywhere.
    """

    remove_idle_units: bool = False

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return phases_of(schedule)

    def can_begin_from(self, origin: OriginOutcome) -> bool:
        return origin.status == "collapsed" and origin.epochs_run > 0

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        done, origin, moment = now.state.get("done", 0), now.cell.origin, now.moment
        due = origin.edits_until(moment.epoch, moment.step, done) if origin else ()
        if not due:
            return now.state, ()
        masks = random_masks(now, held_by(due))
        removals = _left_idle(now, due, masks) if self.remove_idle_units else _removals(now, due)
        proposed = (*masks, *removals, *_blocks(now, due))
        return {"done": done + len(due)}, proposed


def _left_idle(now: Situation, due: Sequence[OriginEdit], masks: "Sequence[Mask]") -> "list[Remove]":
    """The units that deletions leave idle, where the origin took its own out."""
    from harness import surgery
    from harness.sizing.deletion import idle_removals

    example = now.probe.part.x[:1]
    rehearsed = copy.deepcopy(now.network)
    if not any(edit.removed for edit in due) or surgery.apply(rehearsed, None, masks, example).emptied:
        return []
    return idle_removals(rehearsed, example)


def _removals(now: Situation, due: Sequence[OriginEdit]) -> "list[Edit]":
    """So many units of each layer, random ones; a layer that has lost units with another keeps its rest."""
    import torch

    from harness.surgery import trace
    from harness.surgery.edits import Remove

    counts: Counter[str] = Counter()
    for edit in due:
        counts.update(edit.removed)
    if not counts:
        return []
    structure = trace(now.network, now.probe.batch(torch.Generator().manual_seed(0), 2)[0])
    gone: set[int] = set()
    removals: list[Edit] = []
    for layer, count in counts.items():
        classes = structure.classes.get(layer)
        if classes is None:
            continue  # a layer that the control's network does not have, behind a block that went
        left = count - sum(own in gone for own in classes)
        chosen: list[int] = []
        for own in _shuffled(classes, now):
            units = [unit for unit, other in enumerate(classes) if other == own]
            if own not in gone and len(units) <= left - len(chosen):
                gone.add(own)
                chosen += units
        if chosen:
            removals.append(Remove(layer, tuple(sorted(chosen))))
    return removals


def _blocks(now: Situation, due: Sequence[OriginEdit]) -> "list[Edit]":
    """So many residual blocks, random ones of those that can be left out."""
    import torch

    from harness.sizing.blocks import LOOKED_AT, removable_blocks
    from harness.surgery.edits import RemoveBlock

    count = sum(len(edit.blocks) for edit in due)
    if not count:
        return []
    blocks = removable_blocks(now.network, now.probe.part.x[:LOOKED_AT])
    order = torch.randperm(len(blocks), generator=now.generator).tolist()
    return [RemoveBlock(blocks[place]) for place in order[:count]]


def _shuffled(classes: Sequence[int], now: Situation) -> list[int]:
    import torch

    own = sorted(set(classes))
    return [own[place] for place in torch.randperm(len(own), generator=now.generator).tolist()]
