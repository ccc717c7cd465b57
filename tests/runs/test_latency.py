"""How fast a trial's network is: measured if the study asks, and never part of what the trial gave."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from harness.records.record import Record
from harness.runs.run import plan_study
from harness.runs.trial_runner import DeviceError, TrialRunner
from harness.study.plan import Plan
from harness.study.schema import Study
from harness.training import fault, speed
from tests.making import Fields


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(speed, "_REPEAT_SECONDS", 0.0)


def _plan(fields: Fields, training: Mapping[str, object]) -> Plan:
    methods = ["fixed", "shrinknets"]
    fields = fields | {"methods": methods, "trials": 1, "training": fields["training"] | training}
    return plan_study(Study.model_validate(fields), None)


def _record(plan: Plan, method: str = "shrinknets") -> Record:
    return TrialRunner(plan, None).run(plan.frozen[f"digits/mlp/{method}", 0][0], attempt=1)


def _fail_at_256(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise error

    seconds = speed._seconds
    monkeypatch.setattr(
        speed,
        "_seconds",
        lambda network, x, calls: seconds(network if len(x) == 1 else Narrow(), x, calls),
    )


def test_a_study_that_does_not_ask_is_charged_nothing(tiny: Fields, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(speed, "latencies_ms", never)
    plan = _plan(tiny, {})
    costs = _record(plan).costs
    assert (costs.latency_ms, costs.latency_failure) == ({}, "")
    assert [trial.id for trial in plan.frozen["digits/mlp/fixed", 0]] == [
        trial.id for trial in _plan(tiny, {"measure_speed": False}).frozen["digits/mlp/fixed", 0]
    ]


def test_the_selected_network_is_timed_once_and_the_outcome_knows_nothing_of_it(
    tiny: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(tiny, {"measure_speed": True})
    timed = _record(plan)
    assert set(timed.costs.latency_ms) == {1, 256}
    assert min(timed.costs.latency_ms.values()) > 0
    assert timed.costs.latency_failure == ""
    monkeypatch.setattr(speed, "latencies_ms", lambda *_: iter(()))
    assert _record(plan).outcome() == timed.outcome()


def test_a_record_without_latencies_is_no_answer_to_a_study_that_asks(tiny: Fields) -> None:
    ids = [_plan(tiny, {"measure_speed": asks}).frozen["digits/mlp/fixed", 0][0].id for asks in (False, True)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("error", [RuntimeError("no"), torch.OutOfMemoryError("no"), SystemExit("no")])
def test_a_network_that_fails_when_it_is_timed_keeps_its_score(
    tiny: Fields, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    _fail_at_256(monkeypatch, error)
    record = _record(_plan(tiny, {"measure_speed": True}))
    assert (record.status, record.message) == ("ok", "")
    assert record.test_score is not None
    assert set(record.costs.latency_ms) == {1}
    assert record.costs.latency_failure == f"{type(error).__name__}: no"


def test_a_device_that_breaks_while_a_network_is_timed_leaves_no_record(
    tiny: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_at_256(monkeypatch, RuntimeError("no"))
    monkeypatch.setattr(fault, "answers", lambda device: False)
    with pytest.raises(DeviceError):
        _record(_plan(tiny, {"measure_speed": True}))
