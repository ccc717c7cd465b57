"""Searches under a pruner that learn: which of their trials it stops, and what these then were.

Such an arm trains every trial whole. When a round is told, in plan order, each trial reports its curve epoch
by epoch, and the pruner, which knows all trials told before, says where it would have stopped it. The sampler
learns that, and the trial counts as if it had been stopped. So a search does not depend on when its trials
finish. Points of one round are drawn before any of the round is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.design import ArmDesign
from harness.records.record import Record
from harness.study.written import WrittenPlan

if TYPE_CHECKING:
    from harness.search.samplers import Search


def tell(search: "Search", records: Sequence[Record]) -> list[int | None]:
    """Tell a search of the trials of its last round, in the order they were asked.

    Returns:
        The epoch after which a pruner stopped each; None for one that went to its end.
    """
    curves = [
        [(epoch.epoch, epoch.val_score) for epoch in record.epochs if epoch.val_score is not None]
        for record in records
    ]
    return search.tell([record.val_score for record in records], curves)


def stops(plan: WrittenPlan, records: Iterable[Record]) -> dict[str, int | None]:
    """Id -> the epoch after which the pruner of its arm stops a trial; None for one that went to its end.

    Of arms under a pruner alone. What it says of a trial depends on those before it: of one that comes after
    a missing record nothing is known yet, and it is left out.
    """
    found: dict[str, int | None] = {}
    places = {(record.arm, record.replicate, record.index): record for record in records}
    for key, arm in plan.arms.items():
        for replicate in range(arm.replicates if arm.pruner is not None else 0):
            found |= _of_search(plan, key, arm, replicate, places)
    return found


def _of_search(
    plan: WrittenPlan,
    key: str,
    arm: ArmDesign,
    replicate: int,
    places: Mapping[tuple[str, int, int], Record],
) -> dict[str, int | None]:
    # Optuna takes a while to import, and most studies are read without it.
    from harness.search.pruners import of_search
    from harness.search.samplers import Search, make_sampler

    assert arm.pruner is not None
    # A pruner looks at curves and never at points: those need not be asked for again.
    search = Search(
        {},
        make_sampler("RandomSampler", {}, 0),
        higher_is_better=plan.score.higher_is_better,
        pruner=of_search(arm.pruner, plan.study.name, key, replicate),
    )
    found = {}
    for index in range(arm.trials):
        record = places.get((key, replicate, index))
        if record is None:
            break
        search.ask(1)
        (found[record.trial_id],) = tell(search, [record])
    return found


def as_searched(plan: WrittenPlan, records: Sequence[Record]) -> list[Record]:
    """The records as the searches know them: those that a pruner stopped end there.

    Trials of which it is not known yet whether they are stopped are left out (see `stops`).
    """
    known, found = stops(plan, records), []
    for record in records:
        pruner = plan.arms[record.arm].pruner
        if pruner is None:
            found.append(record)
        elif record.trial_id in known:
            stop = known[record.trial_id]
            found.append(record if stop is None else as_stopped(record, stop, pruner["name"]))
    return found


def as_stopped(record: Record, stop: int, pruner: str) -> Record:
    """The record of a trial as it would be had a pruner stopped it after an epoch.

    It has the best network of the epochs until then, with the test score that was sealed there; none if no
    epoch until then could be selected. How the seconds of evaluations fell is not recorded: they stay whole.
    """
    epochs = record.epochs[:stop]
    selected = max((epoch for epoch in record.best_test_scores if epoch <= stop), default=None)
    train_flops, train_seconds = epochs[-1].train_flops, epochs[-1].train_seconds
    assert train_flops is not None, "arms under a pruner are younger than costs along the way"
    assert train_seconds is not None, "arms under a pruner are younger than costs along the way"
    is_same = selected == record.selected_epoch
    return replace(
        record,
        status="stopped",
        message=f"stopped by {pruner} after epoch {stop} of {record.epochs_planned}",
        traceback="",
        stop_reason="",
        epochs=epochs,
        events=[event for event in record.events if event.epoch <= stop],
        selected_epoch=selected,
        val_score=None if selected is None else epochs[selected - 1].val_score,
        test_score=None if selected is None else record.best_test_scores[selected],
        best_test_scores={epoch: score for epoch, score in record.best_test_scores.items() if epoch <= stop},
        sparsity=record.sparsity if is_same else None,
        costs=replace(
            record.costs,
            train_flops=train_flops,
            train_seconds=train_seconds,
            # What was timed is the network of the whole trial.
            latency_ms=record.costs.latency_ms if is_same else {},
            latency_failure=record.costs.latency_failure if is_same else "",
        ),
    )
