"""What the tests of several parts of the package are made of: studies, plans, records, ends of commands."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from harness.datasets import DatasetFacts, DatasetSpec
from harness.records.record import Costs, Event, Record
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size
from harness.study.plan import PLAN_VERSION, Plan, Trial
from harness.study.planning import make_plan
from harness.study.schema import Study

#: The fields of a study, as a study file holds them.
Fields = dict[str, Any]

#: The size of the network in `a_record`.
SIZE = Size({"hidden1": 5}, 380, 380, 370)


def put(fields: Fields, place: str, value: Any) -> Fields:
    """Set a field by its dotted place; numbers are positions in lists."""
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    target: Any = fields
    for step in steps:
        target = target.setdefault(step, {}) if isinstance(target, dict) else target[step]
    target[last] = value
    return fields


def facts_of(spec: DatasetSpec, fingerprint: str = "f") -> DatasetFacts:
    """Facts of a data set that is not there: a plan needs no more."""
    return DatasetFacts(spec.name, (1, 8, 8), 10, 1438, 359, fingerprint)


def plan_of(
    fields: Fields,
    prepare: Callable[[DatasetSpec], DatasetFacts] = facts_of,
    version: int = PLAN_VERSION,
) -> Plan:
    """The plan of a study of these fields, made without its data."""
    return make_plan(Study.model_validate(fields), "study.yaml", prepare, version)


def warnings_of(fields: Fields) -> tuple[str, ...]:
    """Of a study with six trials an arm: the fewest that are enough for n = 1."""
    return plan_of(fields | {"trials": 6}).warnings


def trials_of(plan: Plan) -> dict[str, list[Trial]]:
    """Arm -> the trials that the plan holds, of all its replicates."""
    return {key: [t for (k, _), ts in plan.frozen.items() if k == key for t in ts] for key in plan.arms}


def a_record(trial_id: str = "aa", **changes: Any) -> Record:
    """A record of an ok trial of two epochs."""
    record = Record(
        trial_id=trial_id,
        arm="digits/mlp/l2",
        replicate=0,
        index=3,
        pair_id=None,
        params={"hidden1": 5, "weight_decay": 0.1, "whole": 2.0, "flag": True, "kind": "a"},
        seeds={"init": 2**63 - 1, "order": 2, "method": 3},
        status="ok",
        message="",
        traceback="",
        epochs=[Epoch(1, "train", 2.0, 1.9, 0.5, SIZE), Epoch(2, "train", 1.5, None, 0.6, SIZE)],
        events=[Event(1, 9, {"removed": {"hidden1": 2}, "folded": ["output"]})],
        epochs_planned=2,
        start_size=SIZE,
        selected_epoch=2,
        val_score=0.6,
        test_score=0.55,
        val_examples=288,
        test_examples=359,
        attempt=1,
        costs=Costs(0.1, 0.2, 0.3, 0.4, 123456789, "a processor", 1.0),
        provenance={"commit": None, "packages": {"torch": "2"}},
        started_at="2026-01-01T00:00:00.000+00:00",
        finished_at="2026-01-01T00:00:01.000+00:00",
    )
    return replace(record, **changes)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def refused(ended: Ended) -> str:
    """The one sentence that a command refuses with."""
    assert ended.code == 2, ended
    assert "Traceback" not in ended.err + ended.out
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1, f"not one sentence: {ended.err}"
    return ended.err.rstrip("\n")
