"""What became of the trial that a control begins from: all that a method may know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.sizing.base import Params, Phase
from harness.sizing.ledger.size import Size
from harness.trial_table import FAILURES


@dataclass(frozen=True, slots=True)
class OriginEdit:
    """What one proposal of the origin's method did to its network, and when.

    epoch, step: counted over the trial from 1; 0 before the first. removed, added: layer -> units, coupled
    layers included. masked: parameter -> entries newly held at zero. reset: layer -> units given new weights.
    assigned, unmasked: parameter -> entries. blocks: paths of blocks removed; inserted: of modules put in.
    account: all that the record says of it, these included.
    """

    epoch: int
    step: int
    removed: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)
    masked: Mapping[str, int] = field(default_factory=dict)
    reset: Mapping[str, int] = field(default_factory=dict)
    assigned: Mapping[str, int] = field(default_factory=dict)
    unmasked: Mapping[str, int] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    inserted: tuple[str, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OriginOutcome:
    """How a trial's origin ended. Only what the plan decides is here: no seconds, and no scores.

    status, message: as in its record; of a failed trial the rest is what there was until then.
    phases: as they were run: an interval that the method cut short has the steps that it had, and no phase
    is here that was not begun. So they can be trained again as they stand.
    start_size: None if the network did not come to be measured. sizes: at the end of each epoch that was run.
    train_flops: its own, without those of what it began from itself.
    """

    trial_id: str
    arm: str
    status: str
    message: str
    params: Params
    phases: tuple[Phase, ...]
    edits: tuple[OriginEdit, ...]
    start_size: Size | None
    sizes: tuple[Size, ...]
    selected_epoch: int | None
    stop_reason: str
    train_flops: int

    @property
    def has_failed(self) -> bool:
        """Whether the trial came to nothing."""
        return self.status in FAILURES

    @property
    def epochs_run(self) -> int:
        """Measured intervals that it trained."""
        return len(self.sizes)

    @property
    def selected_size(self) -> Size | None:
        """Of the network at the selected epoch: the size that was found. None if it has failed."""
        return None if self.selected_epoch is None else self.sizes[self.selected_epoch - 1]

    @property
    def final_size(self) -> Size | None:
        """Of the network at the end of the last epoch; None if there was none."""
        return self.sizes[-1] if self.sizes else None

    def edits_until(self, epoch: int, step: int, since: int = 0) -> tuple[OriginEdit, ...]:
        """Its edits up to a moment, in their order, without the first `since`: what a control that keeps
        count of those it has done has still to do."""
        return tuple(edit for edit in self.edits[since:] if (edit.epoch, edit.step) <= (epoch, step))
