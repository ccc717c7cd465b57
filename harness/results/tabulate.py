"""From a run directory to what is judged: the trial table, the histories, the study's design."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harness.design import BATCH_SIZE, ArmDesign, Claim, StudyDesign
from harness.records.directory import RunDirectory
from harness.records.record import Costs, Record
from harness.records.stopped import as_searched
from harness.results.origin_costs import costs_with_origins
from harness.results.plateau import size_has_settled
from harness.sizing.ledger.size import FLOPS_PER_MAC
from harness.sizing.ledger.sparse import Histogram, Sparsity
from harness.study.beside import optimizers_told, told
from harness.study.seeds import split_seed, splits_text
from harness.study.telling import task_told, training_told
from harness.study.written import WrittenPlan
from harness.trial_table import COLUMNS, PARAMETER_PREFIX, SCHEMA_VERSION


def read_run(path: Path) -> "tuple[pd.DataFrame, pd.DataFrame, StudyDesign]":
    """The trial table, the histories (one row an epoch) and the design of a run directory.

    Damaged records and those of other plans are counted in the design and not read. Trials that the pruner of
    a search that learns stopped are told as they were by then; those that it cannot be asked of yet are left
    out. Rows are in the order of the plan's arms, then of replicate, index and repeat.

    Raises:
        DirectoryError: if this is no run directory.
    """
    directory = RunDirectory(path)
    plan = directory.read_plan()
    records, others = directory.read_records(plan)
    order = {key: position for position, key in enumerate(plan.arms)}
    ours = list(records.values())
    ours.sort(key=lambda record: (order[record.arm], record.replicate, record.index, record.repeat))
    ours = as_searched(plan, ours)
    aside = len(others) + len(list((path / "set-aside").glob("*.json")))
    return (
        trial_table(plan, ours),
        histories(plan, ours),
        _told(study_design(plan, directory.log.lost_attempts(), aside), ours),
    )


def _told(design: StudyDesign, records: list[Record]) -> StudyDesign:
    """The design, its arms telling what their trials would have taken had no network changed its size.

    Arms of which the trials were to train for different numbers of examples are left without.
    """
    return dataclasses.replace(design, arms=tuple(_with_start_flops(arm, records) for arm in design.arms))


def _with_start_flops(arm: ArmDesign, records: list[Record]) -> ArmDesign:
    key = f"{arm.dataset}/{arm.architecture}/{arm.method}"
    ours = [record for record in records if record.arm == key and not record.repeat]
    macs = sorted(record.start_size.macs for record in ours if record.start_size is not None)
    if not macs or arm.examples is None or arm.examples[0] != arm.examples[1]:
        return arm
    least, median, most = (
        float(FLOPS_PER_MAC * each * arm.examples[0]) for each in (macs[0], macs[len(macs) // 2], macs[-1])
    )
    return dataclasses.replace(arm, start_flops=(least, median, most))


def trial_table(plan: WrittenPlan, records: list[Record]) -> pd.DataFrame:
    """One row a record, with the columns of `harness.trial_table` and a `param_` column a searched value."""
    by_id = {record.trial_id: record for record in records}
    rows = [_row(plan, record, by_id) for record in records]
    table = pd.DataFrame(rows, columns=list(dict.fromkeys([c.name for c in COLUMNS] + _param_columns(rows))))
    kinds = {"text": "string", "integer": "Int64", "number": "float64"}
    return table.astype({column.name: kinds[column.kind] for column in COLUMNS})


def histories(plan: WrittenPlan, records: list[Record]) -> pd.DataFrame:
    """One row an epoch: losses, validation score and size as the trial went, residual blocks put in less
    those taken out up to there, costs likewise, and of arms that are replayed the test score of each epoch
    that was the best so far."""
    columns = ["trial_id", "dataset", "architecture", "method", "epoch", "phase", "train_loss", "val_loss"]
    columns += ["val_score", "units_total", "parameters", "nonzeros", "macs", "blocks", "train_flops"]
    columns += ["train_seconds", "best_test_score"]
    rows = []
    for record in records:
        arm = plan.arms[record.arm]
        params = {PARAMETER_PREFIX + name: value for name, value in record.params.items()}
        blocks = [
            (event.epoch, len(event.account.get("inserted", ())) - len(event.account.get("blocks", ())))
            for event in record.events
        ]
        for epoch in record.epochs:
            size = epoch.size
            rows.append(
                {
                    "trial_id": record.trial_id,
                    "dataset": arm.dataset,
                    "architecture": arm.architecture,
                    "method": arm.method,
                    "epoch": epoch.epoch,
                    "phase": epoch.phase,
                    "train_loss": epoch.train_loss,
                    "val_loss": epoch.val_loss,
                    "val_score": epoch.val_score,
                    "units_total": sum(size.units.values()),
                    "parameters": size.parameters,
                    "nonzeros": size.nonzeros,
                    "macs": size.macs,
                    "blocks": sum(change for moment, change in blocks if moment <= epoch.epoch),
                    "train_flops": epoch.train_flops,
                    "train_seconds": epoch.train_seconds,
                    "best_test_score": record.best_test_scores.get(epoch.epoch),
                    **params,
                }
            )
    return pd.DataFrame(rows, columns=list(dict.fromkeys(columns + _param_columns(rows))))


def study_design(plan: WrittenPlan, lost_attempts: int, set_aside: int) -> StudyDesign:
    """The design of a study, from its plan as it was written."""
    study, training = plan.study, plan.study.training
    repeats, claim = study.seeds.repeats, study.claim
    data = "; ".join(
        f"{facts.name} ({facts.train_examples} training and {facts.test_examples} test examples)"
        for facts in plan.data.values()
    )
    return StudyDesign(
        name=study.name,
        description=study.description,
        arms=tuple(plan.arms.values()),
        claim=Claim(claim.baseline, claim.n, claim.cost, claim.margin, claim.saving, claim.looks),
        paired=study.paired,
        settings={
            "Data": data,
            "Task": task_told(training.task, plan.score),
            "Optimizer": optimizers_told(study),
            "Batch size": told(study, BATCH_SIZE, training.batch_size),
            **training_told(training),
            "Validation": f"{training.validation_fraction:g} of the training set, {splits_text(study.seeds)}",
            "Time limit": f"{training.time_limit_seconds:g} s a trial",
            "Resources": f"{study.resources.cpus:g} CPU, {study.resources.gpus:g} GPU a trial",
            "Seed": str(study.seeds.study),
            **({"Repeats": f"each point trained {repeats} times"} if repeats > 1 else {}),
        },
        warnings=plan.warnings,
        replays=tuple(plan.replays.values()),
        lost_attempts=lost_attempts,
        set_aside=set_aside,
        score=plan.score,
    )


def _speed(costs: Costs) -> dict[str, float]:
    columns = {}
    for batch_size, latency_ms in costs.latency_ms.items():
        columns[f"latency_ms_{batch_size}"] = latency_ms
        columns[f"throughput_{batch_size}"] = 1e3 * batch_size / latency_ms
    return columns


def _sparse(found: Sparsity | None) -> dict[str, Any]:
    if found is None:
        return {}
    weights = {
        name: [entries, found.left.get(name, 0), *_histogram(found.histograms.get(name))]
        for name, entries in found.started.items()
    }
    columns: dict[str, Any] = {"layer_weights": json.dumps(weights)}
    wired = found.partition
    if wired is not None:
        total = max(1, wired.weights)
        columns |= {"components": wired.components}
        columns |= {"cut_2": wired.crossing_2 / total, "cut_4": wired.crossing_4 / total}
    return columns


def _histogram(found: Histogram | None) -> list[Any]:
    return [0.0, []] if found is None else [found.most, found.counts]


def _param_columns(rows: list[dict[str, Any]]) -> list[str]:
    return [name for row in rows for name in row if name.startswith(PARAMETER_PREFIX)]


def _row(plan: WrittenPlan, record: Record, records: Mapping[str, Record]) -> dict[str, Any]:
    arm, size, costs = plan.arms[record.arm], record.selected_size, record.costs
    settled = size_has_settled([sum(epoch.size.units.values()) for epoch in record.epochs])
    return {
        "dataset": arm.dataset,
        "architecture": arm.architecture,
        "method": arm.method,
        "val_score": record.val_score,
        "test_score": record.test_score,
        "score": plan.score.name,
        "score_direction": "higher" if plan.score.higher_is_better else "lower",
        "failed_score": plan.score.failed.get(arm.dataset),
        "study": plan.study.name,
        "trial_id": record.trial_id,
        "index": record.index,
        "status": record.status,
        "sampling": arm.sampling,
        "sampler": arm.sampler,
        "replicate": record.replicate,
        "repeat": record.repeat,
        "pair_id": record.pair_id,
        "origin_trial_id": record.origin_trial_id,
        **costs_with_origins(record, records),
        "attempt": record.attempt,
        "split_seed": split_seed(plan.study.seeds, arm.sampling, record.replicate, record.index),
        "epochs_planned": record.epochs_planned,
        "epochs_run": len(record.epochs),
        "selected_epoch": record.selected_epoch,
        "size_settled": None if settled is None else ("yes" if settled else "no"),
        "parameters": size and size.parameters,
        "nonzeros": size and size.nonzeros,
        "macs": size and size.macs,
        **_sparse(record.sparsity),
        "start_parameters": record.start_size and record.start_size.parameters,
        "units": size and json.dumps(size.units),
        "train_flops": costs.train_flops,
        "wait_seconds": costs.wait_seconds,
        "warm_up_seconds": costs.warm_up_seconds,
        "train_seconds": costs.train_seconds,
        "evaluation_seconds": costs.evaluation_seconds,
        "device": costs.device,
        "device_share": costs.device_share,
        "peak_memory_bytes": costs.peak_memory_bytes,
        **_speed(costs),
        "joules": None,
        "n_val": record.val_examples,
        "n_test": record.test_examples,
        "message": record.message or None,
        "table_version": SCHEMA_VERSION,
        **{PARAMETER_PREFIX + name: value for name, value in record.params.items()},
    }
