"""Shipped controls: each does what its origin did, but for the one thing that it leaves out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.records.record import Record
from harness.sizing.base import Params, Phase, Schedule, Situation, State
from harness.sizing.fixed import Fixed
from harness.sizing.ledger.size import FLOPS_PER_MAC
from harness.study.parts import StudyError
from harness.surgery import Edit, Mask, Remove
from tests.runs.executors.driving import records_of
from tests.runs.finishing import finish

Fields = dict[str, Any]


class Cutting(Fixed):
    """Removes units and single weights, after phases of several rates, one of them without a step."""

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        rate = schedule.learning_rate
        return (
            Phase(1, rate),
            Phase(1, rate, steps_per_epoch=0, selectable=False),
            Phase(2, 10 * rate, steps_per_epoch=5),
        )

    def edits(self, now: Situation) -> tuple[State, Sequence[Edit]]:
        import torch

        if now.moment.epoch != 2:
            return now.state, ()
        keep = torch.ones(10, len(now.network.get_parameter("hidden2.weight")), dtype=torch.bool)
        keep[:, ::2] = False
        return now.state, (Mask("output.weight", keep), Remove("hidden1", (0, 2, 3)))


METHODS = {"cutting": Cutting}

FIELDS: Fields = {
    "name": "controls",
    "datasets": ["digits", {"name": "elsewhere", "source": "digits"}],
    "architectures": [{"name": "mlp", "options": {"hidden_layers": 2}, "widths": {"low": 8, "high": 16}}],
    "methods": [
        "cutting",
        *(
            {"name": name, "of": "cutting"}
            for name in (
                "no-removal",
                "restart-schedule-only",
                "random-removal",
                "scratch-e",
                "scratch-b",
                "oversized-l2",
                "gates-only",
            )
        ),
        {"name": "scratch-elsewhere", "of": {"method": "cutting", "dataset": "elsewhere"}},
    ],
    "trials": 1,
    "training": {"epochs": 3, "batch_size": 64, "optimizer": {"learning_rate": 0.01}},
    "claim": {"baseline": "cutting", "n": 1},
    "plugins": [__file__],
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Record]:
    """Method -> its record on the digits."""
    run = finish(FIELDS, tmp_path_factory.mktemp("controls") / "run")
    found = {
        name: [r for r in ours if r.arm.startswith("digits/")] for name, ours in records_of(run.path).items()
    }
    assert {name: r.status for name, [r] in found.items()} == dict.fromkeys(found, "ok")
    return {name: r for name, [r] in found.items()}


def steps(record: Record) -> list[int]:
    return [epoch.step for epoch in record.epochs if epoch.step is not None]


def test_the_same_network_trained_as_long(records: Mapping[str, Record]) -> None:
    origin = records["cutting"]
    for name in ("no-removal", "restart-schedule-only"):
        assert records[name].start_size == origin.start_size
        assert records[name].selected_size == pytest.approx(origin.start_size) or not records[name].events
        assert steps(records[name]) == [steps(origin)[0], *steps(origin)[2:]], (
            "all but the interval of no step"
        )
    same = [records[name].epochs[0].val_score for name in ("cutting", "no-removal", "restart-schedule-only")]
    assert len(set(same)) == 1, "the first phase has the study's rate in all"
    later = [records[name].epochs[-1].train_loss for name in ("no-removal", "restart-schedule-only")]
    assert later[0] != later[1], "later phases have the origin's rate in one alone"


def test_as_much_removed_at_random(records: Mapping[str, Record]) -> None:
    origin, random = records["cutting"], records["random-removal"]
    assert steps(random) == steps(origin)
    for what in ("removed", "masked"):
        mine, theirs = ([(e.epoch, e.account[what]) for e in r.events] for r in (random, origin))
        assert mine == theirs != []
    assert origin.test_score != random.test_score


def test_units_left_idle_are_those_of_the_random_deletions(tmp_path: Path) -> None:
    top_k = {"name": "top-k", "options": {"retrain_epochs": 0}, "space": {"amount": [0.97]}}
    fair = {"name": "fair", "method": "random-removal", "of": "top-k", "options": {"remove_idle_units": True}}
    claim = {"baseline": "top-k", "n": 1}
    fields = FIELDS | {"datasets": ["digits"], "methods": [top_k, fair], "claim": claim}
    found = records_of(finish(fields, tmp_path / "run").path)
    [origin], [random] = found["top-k"], found["fair"]
    assert [e.account["masked"] for e in origin.events] == [e.account["masked"] for e in random.events]
    mine, theirs = (r.events[-1].account.get("removed", {}) for r in (random, origin))
    assert sum(theirs.values()) > 0, "deletion by size leaves units idle"
    assert sum(mine.values()) < sum(theirs.values()), "random ones spread over all units"


def test_what_was_found_from_new_weights(records: Mapping[str, Record]) -> None:
    origin, anew, cost = (records[name] for name in ("cutting", "scratch-e", "scratch-b"))
    found = origin.selected_size
    assert found is not None
    for record in (anew, cost):
        assert record.start_size is not None
        assert record.start_size.units == found.units
    assert steps(anew) == steps(records["no-removal"])
    if found.nonzeros < found.parameters:
        assert anew.epochs[0].size.nonzeros <= found.nonzeros
    a_pass = FLOPS_PER_MAC * found.macs * 1150
    assert len(cost.epochs) == min(6, max(1, round(origin.costs.train_flops / a_pass)))


def test_size_gates_and_data_of_others(records: Mapping[str, Record]) -> None:
    start = records["cutting"].start_size
    assert start is not None
    for name in ("oversized-l2", "gates-only"):
        assert {tuple(epoch.size.units.items()) for epoch in records[name].epochs} == {
            tuple(start.units.items())
        }
    assert set(records["oversized-l2"].params) == {"weight_decay"}
    assert len(records["scratch-elsewhere"].epochs) == 3, "the study's epochs"


def test_a_control_needs_an_origin(tmp_path: Path) -> None:
    fields = FIELDS | {"methods": ["cutting", "no-removal"]}
    with pytest.raises(StudyError, match="begins from the trials of another arm; say which"):
        finish(fields, tmp_path / "run")
