"""A plug-in file for tests: two controls, written with the contract alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State
from harness.sizing.origin import OriginOutcome
from harness.surgery.edits import Edit, Remove


@dataclass(frozen=True)
class Scratch(SizingMethod):
    """The sizes that the origin found, trained from new weights for as many epochs."""

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {}

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return {layer: (1, most) for layer, most in cell.start.items()}

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        found = cell.origin and cell.origin.selected_size
        return dict(found.units if found else cell.start)

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        epochs = schedule.origin.epochs_run if schedule.origin else schedule.epochs
        return (Phase(epochs, schedule.learning_rate),)


@dataclass(frozen=True)
class RandomRemoval(Scratch):
    """As many units as the origin lost, from the same layers at the same moments, chosen at random."""

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        began = cell.origin and cell.origin.start_size
        return dict(began.units if began else cell.start)

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return (schedule.origin and schedule.origin.phases) or super().phases(params, schedule)

    def can_begin_from(self, origin: OriginOutcome) -> bool:
        return origin.status == "collapsed" and origin.epochs_run > 0

    def edits(self, now: Situation) -> tuple[State, Sequence[Edit]]:
        done = now.state.get("done", 0)
        moment, origin = now.moment, now.cell.origin
        due = origin.edits_until(moment.epoch, moment.step, done) if origin else ()
        counts: Counter[str] = Counter()
        for edit in due:
            counts.update(edit.removed)
        removals = []
        for layer, count in counts.items():
            units = len(now.network.get_parameter(f"{layer}.weight"))
            chosen = torch.randperm(units, generator=now.generator)[:count].tolist()
            removals.append(Remove(layer, tuple(sorted(chosen))))
        return {"done": done + len(due)}, removals


METHODS = {"scratch": Scratch, "random-units": RandomRemoval}
