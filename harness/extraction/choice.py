"""Which trial of a run: by its id, by the beginning of one, or the best by validation score."""

from collections.abc import Collection, Iterable

from harness.extraction.errors import ExtractionError
from harness.nearest import nearest
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.records.stopped import stops
from harness.study.written import WrittenPlan

BEST = "best"


def choose(directory: RunDirectory, wanted: str) -> Record:
    """The record that a user asks for.

    Args:
        wanted: a trial's id or the beginning of one, `best`, or `best:NAME` for the best trial of a method or
            of an arm (data set/architecture/method).

    Raises:
        DirectoryError: if this is no run directory.
        ExtractionError: if no trial, or more than one, is meant, or the trial has no selected network.
    """
    plan = directory.read_plan()
    records, damaged = directory.read_records(plan)
    if wanted == BEST or wanted.startswith(f"{BEST}:"):
        return _best(directory, plan, records.values(), wanted.partition(":")[2])
    known = {*records, *damaged, *(trial.id for trial in plan.trials)}
    trial_id = _only(directory, wanted, known)
    if trial_id in damaged:
        raise ExtractionError(
            f"trial {trial_id}: its record {damaged[trial_id]}; `harness run` sets it aside and runs what is "
            "missing"
        )
    if trial_id not in records:
        raise ExtractionError(f"trial {trial_id} has not run yet; `harness run` goes on with the run")
    record = records[trial_id]
    if record.has_failed or record.selected_epoch is None:
        why = f": {record.message}" if record.message else ""
        raise ExtractionError(
            f"trial {trial_id} ended as {record.status!r}{why}; it selected no network, so there is none to "
            "extract"
        )
    return record


def _best(directory: RunDirectory, plan: WrittenPlan, records: Collection[Record], name: str) -> Record:
    """The best validation score; of equal ones the first in the order of the plan. Neither repeats nor trials
    that a pruner stopped compete."""
    arms = {key: arm.method for key, arm in plan.arms.items()}
    if name and name not in {*arms, *arms.values()}:
        raise ExtractionError(
            f"{BEST}:{name}: {directory.path} has no method or arm {name!r}"
            f"{nearest(name, {*arms, *arms.values()})}"
        )
    order = {key: place for place, key in enumerate(arms) if name in ("", key, arms[key])}
    sign = -1 if plan.score.higher_is_better else 1
    # What a search under a pruner stopped, it would not have trained as far as the record goes.
    stopped = {trial_id for trial_id, stop in stops(plan, records).items() if stop is not None}
    scored = [
        (sign * record.val_score, order[record.arm], record.replicate, record.index, record.trial_id, record)
        for record in records
        if record.arm in order and record.selected_epoch is not None and record.val_score is not None
        if not record.repeat and record.trial_id not in stopped
    ]
    if not scored:
        of = f" of {name}" if name else ""
        raise ExtractionError(f"{directory.path} has no trial{of} that ended well, so there is no best one")
    return min(scored)[-1]


def _only(directory: RunDirectory, wanted: str, known: Iterable[str]) -> str:
    """The one id that begins so."""
    meant = sorted(trial_id for trial_id in known if wanted and trial_id.startswith(wanted))
    if not meant:
        raise ExtractionError(
            f"{directory.path} has no trial {wanted!r}; allowed: an id as in the column trial_id of "
            f"`harness export`, the beginning of one, {BEST}, or {BEST}:METHOD"
        )
    if len(meant) > 1:
        shown = ", ".join(meant[:4]) + (", ..." if len(meant) > 4 else "")
        raise ExtractionError(f"{wanted!r} is the beginning of {len(meant)} trials: {shown}; give more of it")
    return meant[0]
