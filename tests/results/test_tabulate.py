"""From records to the trial table, the histories and the design."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.records.directory import DirectoryError, RunDirectory
from harness.records.log import ExecutionLog
from harness.records.record import Event, Record
from harness.records.store import RecordStore
from harness.results.tabulate import read_run
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size
from harness.study.plan import Plan
from harness.trial_table import COLUMNS, OUTCOMES, PARAMETER_PREFIX
from tests.making import a_record, plan_of, trials_of

Fields = dict[str, Any]
SMALL = Size({"hidden1": 2}, 160, 150, 148)


@pytest.fixture
def plan(tiny: Fields) -> Plan:
    return plan_of(tiny)


@pytest.fixture
def write(tmp_path: Path, plan: Plan) -> Callable[..., Record]:
    """Writes the record of one of the plan's trials."""
    RunDirectory(tmp_path).open_for(plan)

    def write_record(method: str, index: int, **changes: Any) -> Record:
        trial = trials_of(plan)[f"digits/mlp/{method}"][index]
        record = a_record(
            trial.id,
            arm=trial.arm,
            index=index,
            params=dict(trial.params),
            seeds=dict(trial.seeds),
            **changes,
        )
        RecordStore(tmp_path).write(record)
        return record

    return write_record


def test_arms_tell_what_their_trials_would_have_taken_at_their_starting_size(
    tmp_path: Path, write: Callable[..., Record]
) -> None:
    for index, macs in enumerate((200, 100, 400)):
        write("l2", index, start_size=replace(SMALL, macs=macs))
    _, _, design = read_run(tmp_path)
    fixed, l2 = design.arms
    assert l2.start_flops == tuple(6 * macs * 2 * 1150 for macs in (100, 200, 400))
    assert fixed.start_flops is None, "nothing of it has started"


def test_a_run_of_which_nothing_ran(tmp_path: Path, plan: Plan) -> None:
    RunDirectory(tmp_path).open_for(plan)
    table, histories, design = read_run(tmp_path)
    assert len(table) == len(histories) == 0
    assert list(table.columns) == [column.name for column in COLUMNS]
    assert [arm.trials for arm in design.arms] == [3, 3]
    assert (design.lost_attempts, design.set_aside) == (0, 0)


def test_columns_hold_what_the_record_says(tmp_path: Path, write: Callable[..., Record]) -> None:
    record = write("l2", 1)
    table, _, _ = read_run(tmp_path)
    [row] = table.to_dict("records")
    assert record.selected_size is not None
    expected = {
        "dataset": "digits",
        "architecture": "mlp",
        "method": "l2",
        "study": "tiny",
        "trial_id": record.trial_id,
        "index": 1,
        "status": "ok",
        "sampling": "iid",
        "val_score": 0.6,
        "test_score": 0.55,
        "epochs_planned": 2,
        "epochs_run": 2,
        "selected_epoch": 2,
        "parameters": 380,
        "macs": 370,
        "units": json.dumps({"hidden1": 5}),
        "train_flops": 123456789,
        "train_seconds": 0.3,
        "n_val": 288,
        "n_test": 359,
        "split_seed": 0,
        "replicate": 0,
        "param_hidden1": record.params["hidden1"],
        "param_weight_decay": record.params["weight_decay"],
    }
    assert {name: row[name] for name in expected} == expected
    assert row["sampler"].startswith("RandomSampler(")
    assert pd.isna(row["message"])
    assert pd.isna(row["pair_id"])


def test_every_column_is_known_and_typed(tmp_path: Path, write: Callable[..., Record]) -> None:
    write("l2", 0)
    write("fixed", 0, status="crashed", selected_epoch=None, val_score=None, test_score=None, message="no")
    table, _, _ = read_run(tmp_path)
    known = {column.name for column in COLUMNS}
    assert all(name in known or str(name).startswith(PARAMETER_PREFIX) for name in table.columns)
    kinds = {"text": "string", "integer": "Int64", "number": "float64"}
    assert {c.name: str(table[c.name].dtype) for c in COLUMNS} == {c.name: kinds[c.kind] for c in COLUMNS}
    crashed = table.iloc[0]
    assert (crashed["method"], crashed["status"], crashed["message"]) == ("fixed", "crashed", "no")
    for empty in ("val_score", "test_score", "selected_epoch", "parameters", "macs", "units"):
        assert pd.isna(crashed[empty])
    assert crashed["start_parameters"] == 380
    assert pd.isna(table.set_index("method")["param_weight_decay"]["fixed"])


def test_sizes_are_those_of_the_selected_epoch(tmp_path: Path, write: Callable[..., Record]) -> None:
    first = a_record().epochs[0]
    epochs = [first, replace(first, epoch=2, size=SMALL), replace(first, epoch=3, size=SMALL)]
    write("l2", 0, epochs=epochs, selected_epoch=1)
    write("l2", 1, epochs=epochs, selected_epoch=2)
    table, histories, _ = read_run(tmp_path)
    assert table["parameters"].tolist() == [380, 160]
    assert table["nonzeros"].tolist() == [380, 150]
    assert histories["parameters"].tolist() == [380, 160, 160] * 2
    assert histories["units_total"].tolist() == [5, 2, 2] * 2
    assert histories["epoch"].tolist() == [1, 2, 3] * 2


def test_latencies_are_told_by_batch_size_with_what_they_make_a_second(
    tmp_path: Path, write: Callable[..., Record]
) -> None:
    write("l2", 0, costs=replace(a_record().costs, latency_ms={1: 0.5, 256: 4.0}))
    write("l2", 1)
    table, _, _ = read_run(tmp_path)
    assert table["latency_ms_1"].tolist()[0] == 0.5
    assert table["latency_ms_256"].tolist()[0] == 4.0
    assert table["throughput_1"].tolist()[0] == 2000
    assert table["throughput_256"].tolist()[0] == 64000
    assert table[["latency_ms_1", "throughput_256"]].iloc[1].isna().all()


def test_rows_are_in_the_order_of_the_plan(tmp_path: Path, write: Callable[..., Record]) -> None:
    for method, index in (("l2", 2), ("fixed", 1), ("l2", 0), ("fixed", 0)):
        write(method, index)
    table, _, _ = read_run(tmp_path)
    rows = list(zip(table["method"], table["index"], strict=True))
    assert rows == [("fixed", 0), ("fixed", 1), ("l2", 0), ("l2", 2)]


def test_damage_and_losses_are_counted(tmp_path: Path, write: Callable[..., Record]) -> None:
    write("l2", 0)
    record = write("l2", 1)
    store = RecordStore(tmp_path)
    store.path(record.trial_id).write_text("damaged")
    table, _, design = read_run(tmp_path)
    assert (len(table), design.set_aside) == (1, 1)
    store.set_aside(record.trial_id)
    assert read_run(tmp_path)[2].set_aside == 1
    for attempt in (1, 2):
        ExecutionLog(tmp_path).write("started", record.trial_id, attempt)
    assert read_run(tmp_path)[2].lost_attempts == 1


def test_the_design(tmp_path: Path, tiny: Fields) -> None:
    tiny["claim"] = {"baseline": "l2", "n": 2, "cost": "trials", "margin": 0.01}
    plan = plan_of(tiny | {"description": "why", "paired": True})
    RunDirectory(tmp_path).open_for(plan)
    design = read_run(tmp_path)[2]
    assert (design.name, design.description, design.paired) == ("tiny", "why", True)
    assert (design.claim.baseline, design.claim.n, design.claim.cost, design.claim.margin) == (
        "l2",
        2,
        "trials",
        0.01,
    )
    assert design.warnings == plan.warnings != ()
    assert [arm == ours.design() for arm, ours in zip(design.arms, plan.arms.values(), strict=True)] == [
        True
    ] * 2
    assert "1438 training and 359 test examples" in design.settings["Data"]
    assert design.settings["Optimizer"] == "Adam, learning rate 0.001"


def test_all_statuses_of_records_are_outcomes_of_the_table() -> None:
    from typing import get_args

    from harness.records.record import Status

    assert set(get_args(Status)) == set(OUTCOMES)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"is not a run directory: it holds no plan\.json"):
        read_run(tmp_path)


def test_histories_tell_the_blocks_put_in_and_taken_out_so_far(
    tmp_path: Path, write: Callable[..., Record]
) -> None:
    epochs = [Epoch(number, "train", 1.0, 1.0, 0.5, SMALL) for number in (1, 2, 3)]
    events = [
        Event(1, 9, {"inserted": ["body.3"]}),
        Event(3, 27, {"removed": {"hidden1": 2}, "blocks": ["body.3", "body.1"]}),
    ]
    write("l2", 0, epochs=epochs, events=events)
    write("fixed", 0, epochs=epochs, events=[])
    _, histories, _ = read_run(tmp_path)
    assert histories["blocks"].tolist() == [0, 0, 0, 1, 1, -1]
