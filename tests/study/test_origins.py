"""Arms that begin from another's trials, as planned: what may be written, and how their trials follow."""

from typing import Any

import pytest

from harness.study.origins import in_order
from harness.study.parts import StudyError
from harness.study.plan import Plan, Trial
from harness.study.schema import Study
from tests.making import plan_of, put, trials_of

Fields = dict[str, Any]

_TPE = {"name": "TPESampler", "round_size": 2, "options": {"n_startup_trials": 2}}


def with_control(tiny: Fields, **control: Any) -> Fields:
    """The study with a control of `l2` that searches what `shrinknets` does, beside what it shares."""
    tiny["methods"] += [{"name": "control", "method": "l2", "of": "l2"} | control]
    return tiny


def arm(plan: Plan, method: str, dataset: str = "digits") -> list[Trial]:
    return trials_of(plan)[f"{dataset}/mlp/{method}"]


def test_a_control_shares_values_and_seeds_with_its_origin_and_has_its_id(tiny: Fields) -> None:
    plan = plan_of(with_control(tiny, method="shrinknets"))
    for ours, theirs in zip(arm(plan, "control"), arm(plan, "l2"), strict=True):
        assert ours.origin == theirs.id != ours.id
        assert ours.seeds == theirs.seeds
        assert ours.pair_id == theirs.pair_id == f"digits/mlp/l2/0/{ours.index}"
        assert set(ours.params) == {"lambda"}, "the method asks for no sizes"
    assert len({trial.params["lambda"] for trial in arm(plan, "control")}) == 3, "its own are drawn"
    assert {trial.pair_id for trial in arm(plan, "fixed")} == {None}
    shared = plan_of(put(tiny, "methods.2.method", "fixed"))
    sizes = [trial.params["hidden1"] for trial in arm(shared, "l2")]
    assert [trial.params["hidden1"] for trial in arm(shared, "control")] == sizes


def test_controls_leave_the_ids_of_the_others_alone(tiny: Fields) -> None:
    before = {trial.id for trials in trials_of(plan_of(tiny)).values() for trial in trials}
    plan = plan_of(with_control(tiny))
    now = {trial.id for method in ("fixed", "l2") for trial in arm(plan, method)}
    assert now == before


def test_controls_of_one_origin_share_their_own_draws_and_pairs_in_a_paired_study_stay(tiny: Fields) -> None:
    tiny["methods"] += [
        {"name": "one", "method": "shrinknets", "of": "fixed"},
        {"name": "other", "method": "shrinknets", "of": "one"},
        "shrinknets",
    ]
    plan = plan_of(tiny)
    draws = [[trial.params["lambda"] for trial in arm(plan, name)] for name in ("one", "other", "shrinknets")]
    assert draws[0] == draws[1] != draws[2]
    paired = plan_of(tiny | {"paired": True})
    assert len({tuple(t.pair_id for t in arm(paired, name)) for name in ("fixed", "one", "shrinknets")}) == 1
    draws = [
        [trial.params["lambda"] for trial in arm(paired, name)] for name in ("one", "other", "shrinknets")
    ]
    assert draws[0] == draws[1] == draws[2], "as paired arms draw"


def test_frozen_origins_have_frozen_controls_and_adaptive_ones_are_waited_for(tiny: Fields) -> None:
    tiny["methods"] = [
        {"name": "of-tpe", "method": "l2", "of": "tpe", "trials": 4},
        {"name": "of-of-fixed", "method": "l2", "of": "of-fixed", "trials": 1},
        {"name": "of-fixed", "method": "l2", "of": "fixed"},
        "fixed",
        {"name": "tpe", "method": "l2", "sampler": _TPE | {"replicates": 2}, "trials": 5},
    ]
    plan = plan_of(tiny)
    counts = {key.rpartition("/")[2]: len(trials) for key, trials in trials_of(plan).items()}
    assert counts == {"of-tpe": 0, "of-of-fixed": 1, "of-fixed": 3, "fixed": 3, "tpe": 0}
    assert [key.rpartition("/")[2] for key, _ in plan.frozen] == ["of-of-fixed", "of-fixed", "fixed"]
    control = plan.arms["digits/mlp/of-tpe"]
    assert (control.sampling, control.sampler.replicates, control.planned_trials) == ("adaptive", 2, 8)
    assert plan.planned_trials == 8 + 1 + 3 + 3 + 10
    assert plan.arms["digits/mlp/of-fixed"].design().origin == "digits/mlp/fixed"


def test_what_is_searched_beside_an_origin_is_its_controls_too(tiny: Fields) -> None:
    tiny["methods"][1] = {"name": "l2", "search": {"learning_rate": {"low": 0.001, "high": 0.1}}}
    tiny["search"] = {"batch_size": [32, 64, 128]}
    plan = plan_of(with_control(tiny, method="shrinknets"))
    for ours, theirs in zip(arm(plan, "control"), arm(plan, "l2"), strict=True):
        assert {"learning_rate", "batch_size", "lambda"} == set(ours.params)
        control, origin = plan.arms[ours.arm], plan.arms[theirs.arm]
        assert plan.batch_size(control, ours.params) == plan.batch_size(origin, theirs.params)
        schedules = plan.schedule(control, ours.params), plan.schedule(origin, theirs.params)
        assert schedules[0].learning_rate == schedules[1].learning_rate == theirs.params["learning_rate"]


def test_an_origin_on_another_data_set(tiny: Fields) -> None:
    tiny["datasets"] = ["digits", {"name": "other", "source": "digits"}]
    plan = plan_of(with_control(tiny, of={"method": "l2", "dataset": "digits"}))
    for dataset in ("digits", "other"):
        origins = [trial.origin for trial in arm(plan, "control", dataset)]
        assert origins == [trial.id for trial in arm(plan, "l2")]
    assert not {t.id for t in arm(plan, "control")} & {t.id for t in arm(plan, "control", "other")}


def test_a_control_is_held_against_its_origin_alone(tiny: Fields) -> None:
    warnings = plan_of(with_control(tiny, trials=2)).warnings
    said = [line for line in warnings if "control" in line and "too few" not in line]
    assert said == ["digits/mlp: l2 has 3 trials, control has 2"]


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({"of": "l3"}, "methods.control.of: 'l3' is no method of this study; did you mean 'l2'?"),
        (
            {"of": {"method": "l2", "dataset": "digit"}},
            "methods.control.of: 'digit' is no data set of this study; did you mean 'digits'?",
        ),
        (
            {"of": "fixed", "search": {"batch_size": [8]}},
            "methods.control.search.batch_size: its values are those of its origin; leave it out",
        ),
        ({"of": "control"}, "methods.control.of: origins go round in a circle, in which no trial can be the"),
        (
            {"sampler": _TPE},
            "methods.control.sampler: its trials begin from those of l2 and share their values, so it has no "
            "sampler of its own; leave it out",
        ),
        (
            {"trials": 4},
            "methods.control: trials: 4 are asked for, and its origin digits/mlp/l2 has 3; leave trials out",
        ),
        (
            {"space": {"hidden1": 5}},
            "methods.control: space.hidden1: its values are those of its origin digits/mlp/l2; leave it out",
        ),
    ],
)
def test_what_is_wrong_with_an_origin_is_told_when_planned(
    tiny: Fields, control: Fields, message: str
) -> None:
    tiny["search"] = {"batch_size": [64]}
    with pytest.raises(StudyError) as refused:
        plan_of(with_control(tiny, **control))
    assert str(refused.value).startswith(f"study.yaml: {message}")
    assert "\n" not in str(refused.value)


def test_a_circle_of_origins_is_named(tiny: Fields) -> None:
    tiny["methods"] += [
        {"name": "a", "method": "l2", "of": "b"},
        {"name": "b", "method": "l2", "of": "c"},
        {"name": "c", "method": "l2", "of": "b"},
    ]
    with pytest.raises(StudyError, match=r"methods\.b\.of: .*: b \(digits\), c \(digits\), b \(digits\)"):
        plan_of(tiny)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("digits/lenet5/l2", "and never of another architecture; found 'digits/lenet5/l2'"),
        ({"method": "l2", "architecture": "lenet5"}, "an origin has the architecture of the arm that begins"),
        ({"metod": "l2"}, "metod"),
    ],
)
def test_an_origin_of_another_architecture_cannot_be_written(tiny: Fields, of: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Study.model_validate(with_control(tiny, of=of))


def test_arms_come_after_what_they_begin_from() -> None:
    assert in_order({"a": "c", "b": None, "c": "d", "d": None}) == ["d", "c", "a", "b"]
