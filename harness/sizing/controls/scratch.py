"""What a method found, trained from new weights (*Rethinking the Value of Network Pruning*, Liu, Sun, Zhou,
Huang and Darrell): whether the size was worth something, or the way to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, State
from harness.sizing.controls.control import Control, held_by, lengths_of, random_masks, sizes_to_build
from harness.sizing.ledger.size import FLOPS_PER_MAC, Size
from harness.sizing.origin import OriginEdit, OriginOutcome

if TYPE_CHECKING:
    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class ScratchEpochs(Control):
    """The sizes that the origin had found at its selected epoch, for as many steps as it trained.

    Blocks that it had removed are removed before the first step. Of weights that it had held at zero as many
    are held in each parameter, chosen at random, and no more in all than were zero there. What it had put in
    cannot be built from sizes: then the trial ends with that sentence.
    """

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        found = cell.origin and cell.origin.selected_size
        return sizes_to_build(cell, found.units if found else {})

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return lengths_of(schedule.origin, schedule, rates=False)

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.surgery.edits import RemoveBlock

        origin = now.cell.origin
        found = origin.selected_size if origin else None
        if now.moment.step > 0 or origin is None or found is None:
            return now.state, ()
        until = _until_selected(origin)
        if put_in := [path for edit in until for path in edit.inserted]:
            raise ValueError(
                f"the origin had put {put_in[0]} into its network, which cannot be built anew from sizes"
            )
        built_without = getattr(now.cell.architecture, "sized_blocks", ())
        gone = [path for edit in until for path in edit.blocks if path not in built_without]
        removals = [RemoveBlock(path) for path in gone]
        return now.state, (*removals, *_masks(now, found, until))


@dataclass(frozen=True)
class ScratchFlops(ScratchEpochs):
    """As `scratch-e`, for as many training FLOPs as the origin spent, in whole passes over the training part.

    most_epochs_factor: at most so many times as many passes as the study asks for; the paper doubles at most.
    """

    most_epochs_factor: float = 2.0

    def __post_init__(self) -> None:
        if not self.most_epochs_factor >= 1:
            raise ValueError(f"most_epochs_factor must be 1 or more, found {self.most_epochs_factor:g}")

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        origin = schedule.origin
        found = origin.selected_size if origin else None
        most = int(schedule.epochs * self.most_epochs_factor)
        if origin is None or found is None or not found.macs or not schedule.train_examples:
            return (Phase(schedule.epochs, schedule.learning_rate),)
        a_pass = FLOPS_PER_MAC * found.macs * schedule.train_examples
        passes = min(most, max(1, round(origin.train_flops / a_pass)))
        return (Phase(passes, schedule.learning_rate),)


@dataclass(frozen=True)
class ScratchElsewhere(ScratchEpochs):
    """The sizes found on another data set: `of: {method: ..., dataset: ...}`. Trained for as long as the
    study asks, since what the origin trained was counted on other data.
    """

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return (Phase(schedule.epochs, schedule.learning_rate),)


def _until_selected(origin: OriginOutcome) -> tuple[OriginEdit, ...]:
    """Edits up to the end of the selected epoch, at which the size was measured."""
    last = origin.selected_epoch or 0
    return tuple(edit for edit in origin.edits if edit.epoch <= last)


def _masks(now: Situation, found: Size, until: Sequence[OriginEdit]) -> "Sequence[Edit]":
    """As many weights held at zero as the origin held, in the same parameters, at random."""
    parameters = dict(now.network.named_parameters())
    counts = {
        path: min(count, parameters[path].numel())
        for path, count in held_by(until).items()
        if path in parameters
    }
    return random_masks(now, _at_most(counts, found.parameters - found.nonzeros))


def _at_most(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Counts in proportion, so that they sum to no more than `total`: some were removed with their units."""
    share = min(1.0, total / max(1, sum(counts.values())))
    scaled = {path: int(count * share) for path, count in counts.items()}
    return {path: count for path, count in scaled.items() if count}
