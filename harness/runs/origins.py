"""What became of a trial's origin, from the records of its run: what a control is trained with."""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from harness.records.record import Event, Record
from harness.sizing.base import Phase
from harness.sizing.interval import Epoch
from harness.sizing.origin import OriginEdit, OriginOutcome
from harness.study.plan import Plan

#: In the record of a control whose method never asked what became of its origin.
NEVER_LOOKED = "never looked at its origin: what it does owes nothing to it, so it controls for nothing"


def watched(origin: OriginOutcome) -> tuple[OriginOutcome, set[str]]:
    """The same outcome, and which of its fields have been looked at so far."""
    looked: set[str] = set()

    class Watched(OriginOutcome):
        """Notes what is looked at."""

        def __getattribute__(self, name: str) -> Any:
            if not name.startswith("__"):
                looked.add(name)
            return super().__getattribute__(name)

    return Watched(**{field.name: getattr(origin, field.name) for field in fields(origin)}), looked


class MissingOriginError(RuntimeError):
    """A trial cannot begin, for its origin has no record."""


def origin_outcome(plan: Plan, trial_id: str, read: Callable[[str], Record | None]) -> OriginOutcome:
    """How an origin ended.

    Args:
        trial_id: of the origin.
        read: gives a trial's record, None if it has none.

    Raises:
        MissingOriginError: if it, or what it began from itself, has no record.
        Whatever the method of the origin raises when it is asked for its phases again goes through.
    """
    record = read(trial_id)
    if record is None:
        raise MissingOriginError(f"trial {trial_id} has no record, and another begins from it")
    return OriginOutcome(
        trial_id=record.trial_id,
        arm=record.arm,
        status=record.status,
        message=record.message,
        params=dict(record.params),
        phases=_phases(plan, record, read),
        edits=tuple(map(_edit, record.events)),
        start_size=record.start_size,
        sizes=tuple(epoch.size for epoch in record.epochs),
        selected_epoch=record.selected_epoch,
        stop_reason=record.stop_reason,
        train_flops=record.costs.train_flops,
    )


def _phases(plan: Plan, record: Record, read: Callable[[str], Record | None]) -> tuple[Phase, ...]:
    """The phases that the origin's method proposed, as far as they were run."""
    if not record.epochs:
        return ()  # it may have failed at its phases
    arm = plan.arms[record.arm]
    before = record.origin_trial_id
    schedule = plan.schedule(arm, record.params)
    if before is not None:
        schedule = replace(schedule, origin=origin_outcome(plan, before, read))
    proposed = tuple(plan.method(arm).phases(record.params, schedule))
    in_pass = math.ceil(plan.train_examples(arm) / plan.batch_size(arm, record.params))
    return phases_run(proposed, record.epochs, in_pass)


def phases_run(proposed: Sequence[Phase], epochs: Sequence[Epoch], steps_in_pass: int) -> tuple[Phase, ...]:
    """Phases as they were run.

    Args:
        proposed: by the method.
        epochs: that were run; each tells its phase and its steps.
        steps_in_pass: steps of one pass over the training part.
    """
    found: list[tuple[int, Phase]] = []
    steps_before = 0
    for epoch in epochs:
        assert epoch.step is not None, "whatever plans origins records steps"
        assert epoch.phase_index is not None, "whatever plans origins records phases"
        steps, steps_before = epoch.step - steps_before, epoch.step
        phase = proposed[epoch.phase_index]
        wanted = steps_in_pass if phase.steps_per_epoch is None else phase.steps_per_epoch
        length = phase.steps_per_epoch if steps == wanted else steps
        if found and found[-1][0] == epoch.phase_index and found[-1][1].steps_per_epoch == length:
            found[-1] = (epoch.phase_index, replace(found[-1][1], epochs=found[-1][1].epochs + 1))
        else:
            found.append((epoch.phase_index, replace(phase, epochs=1, steps_per_epoch=length)))
    return tuple(phase for _, phase in found)


def _edit(event: Event) -> OriginEdit:
    # Whether a run asks for certificates must not show.
    said = {what: found for what, found in event.account.items() if what != "output_change"}
    return OriginEdit(
        event.epoch,
        event.step,
        removed=said.get("removed", {}),
        added=said.get("added", {}),
        masked=said.get("masked", {}),
        reset=said.get("reset", {}),
        assigned=said.get("assigned", {}),
        unmasked=said.get("unmasked", {}),
        blocks=tuple(said.get("blocks", ())),
        inserted=tuple(said.get("inserted", ())),
        account=said,
    )
