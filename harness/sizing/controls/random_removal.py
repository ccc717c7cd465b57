"""As much removed as by a method, from the same places at the same moments, but chosen at random."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sizing.base import Params, Phase, Schedule, Situation, State
from harness.sizing.controls.control import Control, lengths_of
from harness.sizing.origin import OriginEdit, OriginOutcome

if TYPE_CHECKING:
    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class RandomRemoval(Control):
    """The origin's counts of units and single weights, by layer and moment, of random ones; its blocks go as
    they went, since which block goes is a size.

    Trained with the origin's phases. Of coupled layers a unit is chosen once and goes everywhere.
    """

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        origin = schedule.origin
        return origin.phases if origin and origin.phases else lengths_of(None, schedule, rates=False)

    def can_begin_from(self, origin: OriginOutcome) -> bool:
        return origin.status == "collapsed" and origin.epochs_run > 0

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.surgery.edits import RemoveBlock

        done, origin, moment = now.state.get("done", 0), now.cell.origin, now.moment
        due = origin.edits_until(moment.epoch, moment.step, done) if origin else ()
        if not due:
            return now.state, ()
        blocks = [RemoveBlock(path) for edit in due for path in edit.blocks]
        proposed = (*_masks(now, due), *_removals(now, due), *blocks)
        return {"done": done + len(due)}, proposed


def _masks(now: Situation, due: Sequence[OriginEdit]) -> "list[Edit]":
    """So many more entries of each parameter held at zero, of those that are free."""
    import torch

    from harness.surgery.edits import Mask
    from harness.surgery.masking import mask_at

    counts: Counter[str] = Counter()
    for edit in due:
        counts.update(edit.masked)
        counts.subtract(edit.unmasked)
    parameters = dict(now.network.named_parameters())
    masks: list[Edit] = []
    for path, count in counts.items():
        if count <= 0 or path not in parameters:
            continue
        held = mask_at(now.network, path)
        keep = torch.ones(parameters[path].shape, dtype=torch.bool) if held is None else held.cpu().clone()
        free = keep.flatten().nonzero().flatten()
        chosen = free[torch.randperm(len(free), generator=now.generator)[:count]]
        keep.view(-1)[chosen] = False
        masks.append(Mask(path, keep))
    return masks


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


def _shuffled(classes: Sequence[int], now: Situation) -> list[int]:
    import torch

    own = sorted(set(classes))
    return [own[place] for place in torch.randperm(len(own), generator=now.generator).tolist()]
