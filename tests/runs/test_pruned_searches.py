"""Searches that learn, under a pruner: what they are told, and what the table says of their trials."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.extraction.choice import choose
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.records.store import RecordStore
from harness.results.tabulate import read_run
from harness.runs.dealing import Dealer, make_search
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size
from harness.study.plan import Plan, Trial
from tests.making import Fields, plan_of
from tests.runs.dealt import ADAPTIVE, FIELDS, record_of

_MEDIAN = {"name": "MedianPruner", "options": {"n_startup_trials": 1}}
_TPE: Fields = FIELDS["methods"][2]


def _plan(**more: object) -> Plan:
    return plan_of(FIELDS | {"methods": [*FIELDS["methods"][:2], _TPE | {"trials": 9} | more]})


PLAN, UNPRUNED = _plan(pruner=_MEDIAN), _plan()


def _with_curve(record: Record, scores: list[float]) -> Record:
    """The record of a trial that went through epochs of these scores; what failed failed after them."""
    epochs, best = [], dict[int, float]()
    for epoch, score in enumerate(scores, 1):
        size = Size({"hidden1": 10 - epoch}, 400 - epoch, 400 - epoch, 390 - epoch)
        epochs.append(Epoch(epoch, "train", 1.0, 1.0, score, size, 100 * epoch, 0.5 * epoch))
        if score > max(scores[: epoch - 1], default=-1.0):
            best[epoch] = score - 0.05
    is_ok, last = record.status == "ok", max(best)
    return replace(
        record,
        epochs=epochs,
        epochs_planned=4,
        best_test_scores=best,
        selected_epoch=last if is_ok else None,
        val_score=scores[last - 1] if is_ok else None,
        test_score=best[last] if is_ok else None,
        costs=replace(record.costs, train_flops=450, train_seconds=2.5),
    )


def _record_of(trial: Trial) -> Record:
    number = int(trial.id, 16)
    return _with_curve(record_of(trial), [(number >> 8 * epoch) % 100 / 100 for epoch in range(4)])


def _run(plan: Plan, records: dict[str, Record]) -> Dealer:
    dealer = Dealer(plan, records, {})
    while (bundle := dealer.deal(1)) is not None:
        for attempt in bundle.attempts:
            dealer.take(_record_of(attempt.trial))
    assert dealer.finished
    return dealer


WHOLE = _run(PLAN, {})


def _table(path: Path, plan: Plan, records: list[Record]) -> pd.DataFrame:
    RunDirectory(path).open_for(plan)
    for record in records:
        RecordStore(path).write(record)
    table = read_run(path)[0]
    return table[table["method"] == "tpe"]


def test_a_search_is_asked_in_rounds_and_told_what_its_pruner_says(tmp_path: Path) -> None:
    """The same points as of a search that is told by hand, and the table knows the same trials as stopped."""
    table = _table(tmp_path, PLAN, list(WHOLE.records.values()))
    rows = {row["trial_id"]: row for row in table.to_dict("records")}
    stopped = 0
    for replicate in range(2):
        search = make_search(PLAN, PLAN.arms[ADAPTIVE], replicate)
        for start in (0, 3, 6):
            trials = [
                PLAN.make_trial(PLAN.arms[ADAPTIVE], replicate, start + place, params)
                for place, params in enumerate(search.ask(3))
            ]
            records = [WHOLE.records[trial.id] for trial in trials]
            curves = [[(e.epoch, e.val_score) for e in r.epochs if e.val_score is not None] for r in records]
            stops = search.tell([record.val_score for record in records], curves)
            for record, stop in zip(records, stops, strict=True):
                row = rows[record.trial_id]
                assert row["status"] == (record.status if stop is None else "stopped")
                assert row["epochs_run"] == (4 if stop is None else stop)
                stopped += stop is not None
    assert 0 < stopped < 18
    assert set(table["sampling"]) == {"pruned"}


def test_what_a_pruner_says_decides_what_is_asked() -> None:
    unpruned = _run(UNPRUNED, {})
    assert len(unpruned.trials) == len(WHOLE.trials)
    assert unpruned.trials.keys() != WHOLE.trials.keys()


@pytest.mark.parametrize("kept", [0, 12, 20, 27])
def test_a_search_under_a_pruner_is_taken_up_where_it_was(kept: int) -> None:
    dealer = _run(PLAN, dict(list(WHOLE.records.items())[:kept]))
    assert dealer.trials == WHOLE.trials
    assert dealer.strangers() == []


def _first(plan: Plan, curves: list[list[float]], indices: tuple[int, ...] = (0, 1, 2)) -> list[Record]:
    """Records of the first round, of which none failed."""
    trials = [trial for trial in Dealer(plan, {}, {}).trials.values() if trial.arm == ADAPTIVE]
    first = {trial.index: trial for trial in trials if trial.replicate == 0}
    found = []
    for index in indices:
        ok = replace(record_of(first[index]), status="ok", val_score=0.5)
        found.append(_with_curve(ok, curves[index]))
    return found


def test_a_trial_that_a_pruner_stopped_is_told_as_it_was_by_then(tmp_path: Path) -> None:
    """By hand. The second is below the best so far of the first, 0.6, when its third epoch ends; its best was
    its second, though it had come to 0.9. The third is above the first throughout."""
    curves = [[0.3, 0.4, 0.6, 0.6], [0.35, 0.45, 0.4, 0.9], [0.5, 0.6, 0.7, 0.8]]
    records = _first(PLAN, curves)
    table = _table(tmp_path, PLAN, records)
    assert table["status"].tolist() == ["ok", "stopped", "ok"]
    row = table.iloc[1]
    assert (row["val_score"], row["test_score"]) == (0.45, pytest.approx(0.40))
    assert (row["selected_epoch"], row["epochs_run"], row["epochs_planned"]) == (2, 3, 4)
    assert (row["parameters"], row["macs"]) == (398, 388)
    assert (row["train_flops"], row["train_seconds"]) == (300, 1.5)
    assert row["message"] == "stopped by MedianPruner after epoch 3 of 4"
    assert table["train_flops"].tolist() == [450, 300, 450], "the others paid all that they cost"
    assert choose(RunDirectory(tmp_path), "best") == records[2], "what was stopped never came to its 0.9"


def test_a_trial_that_is_stopped_before_it_would_have_failed_did_not(tmp_path: Path) -> None:
    records = _first(PLAN, [[0.6] * 4, [0.1] * 4, [0.7] * 4])
    crashed = {"status": "crashed", "val_score": None, "test_score": None, "selected_epoch": None}
    records[1:] = [replace(record, **crashed) for record in records[1:]]  # type: ignore[arg-type]
    table = _table(tmp_path, PLAN, records)
    assert table["status"].tolist() == ["ok", "stopped", "crashed"]
    assert (table["val_score"].iloc[1], table["epochs_run"].iloc[1]) == (0.1, 1)


def test_of_trials_after_a_missing_one_nothing_is_known_yet(tmp_path: Path) -> None:
    curves = [[0.6] * 4, [0.1] * 4, [0.2] * 4]
    assert _table(tmp_path, PLAN, _first(PLAN, curves, (0, 2)))["index"].tolist() == [0]
