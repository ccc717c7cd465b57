"""Arms that replay another's search under a pruner: what may be written, and that they train nothing."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from harness.design import ReplayDesign
from harness.study.parts import StudyError
from harness.study.replays import plan_pruner
from harness.study.schema import Pruner
from harness.study.written import read_written
from tests.making import plan_of, trials_of

Fields = dict[str, Any]


def _replay(pruner: Any = "SuccessiveHalvingPruner", of: str = "l2", **more: Any) -> Fields:
    return {"name": "halving", "replay_of": of, "pruner": pruner, **more}


def test_a_replay_has_no_trials_and_leaves_ids_and_arms_alone(tiny: Fields) -> None:
    before = plan_of(tiny)
    tiny["methods"] = [*tiny["methods"], _replay()]
    plan = plan_of(tiny)
    assert plan.arms.keys() == before.arms.keys()
    assert trials_of(plan) == trials_of(before)
    assert [plan.is_replayed(arm) for arm in plan.arms.values()] == [
        arm.method == "l2" for arm in plan.arms.values()
    ]


def test_a_plan_keeps_every_option_and_the_name_that_deals_brackets(tiny: Fields) -> None:
    tiny["methods"] = [*tiny["methods"], _replay({"name": "HyperbandPruner", "options": {"max_resource": 9}})]
    plan = plan_of(tiny)
    (key, replay), *_ = plan.replays.items()
    assert replay.sampling == "pruned"
    assert replay.pruner == {
        "name": "HyperbandPruner",
        "options": {"min_resource": 1, "max_resource": 9, "reduction_factor": 3, "bootstrap_count": 0},
        "study_name": f"{plan.study.name}/{key}",
    }
    written = read_written(json.loads(json.dumps(plan.to_json())), "plan.json")
    assert {name: asdict(each) for name, each in written.replays.items()} == {key: asdict(replay)}


def test_a_pruner_is_told_in_the_words_that_a_study_is_written_in() -> None:
    halving = {"name": "SuccessiveHalvingPruner", "options": {"min_resource": "auto", "reduction_factor": 4}}
    patient = {"name": "PatientPruner", "options": {"wrapped_pruner": halving, "patience": 2}}
    assert ReplayDesign("digits", "mlp", "patient", "l2", patient).pruner_text == (
        "PatientPruner(wrapped_pruner=SuccessiveHalvingPruner(min_resource=auto, reduction_factor=4), "
        "patience=2)"
    )


_OPTIONS = [
    ({"name": "SuccesiveHalvingPruner"}, "there is no pruner 'SuccesiveHalvingPruner'; did you mean 'Succ"),
    ({"name": "MedianPruner", "options": {"n_startup": 1}}, "MedianPruner has no option 'n_startup'; did yo"),
    ({"name": "PercentilePruner"}, "PercentilePruner needs the option 'percentile'"),
    ({"name": "PercentilePruner", "options": {"percentile": 101}}, "PercentilePruner: Percentile must be be"),
    (
        {"name": "MedianPruner", "options": {"n_startup_trials": "a"}},
        "n_startup_trials is a whole",
    ),
    (
        {"name": "MedianPruner", "options": {"n_startup_trials": 2.5}},
        "n_startup_trials is a whole",
    ),
    (
        {"name": "MedianPruner", "options": {"interval_steps": True}},
        "interval_steps is a whole",
    ),
    (
        {"name": "HyperbandPruner", "options": {"min_resource": 0}},
        "HyperbandPruner: min_resource is 1",
    ),
    (
        {"name": "HyperbandPruner", "options": {"min_resource": 5, "max_resource": 2}},
        "2 is below min",
    ),
    (
        {"name": "SuccessiveHalvingPruner", "options": {"min_resource": "most"}},
        "a whole number or auto",
    ),
    ({"name": "ThresholdPruner"}, "ThresholdPruner: Either lower or upper must be specified"),
    ({"name": "PatientPruner"}, "PatientPruner needs the option 'patience'"),
    (
        {"name": "PatientPruner", "options": {"patience": 1, "wrapped_pruner": "Median"}},
        "wrapped_pruner: there is no pruner 'Median'; did you mean 'MedianPruner'?",
    ),
]


@pytest.mark.parametrize(("pruner", "message"), _OPTIONS)
def test_a_wrong_pruner_is_refused_in_a_sentence(tiny: Fields, pruner: Fields, message: str) -> None:
    tiny["methods"] = [*tiny["methods"], _replay(pruner)]
    with pytest.raises(StudyError) as refused:
        plan_of(tiny)
    assert message in str(refused.value)
    assert str(refused.value).startswith("study.yaml: methods.halving.pruner: ")
    assert "\n" not in str(refused.value)


_TPE = {"name": "TPESampler", "round_size": 2}
_SEARCHED: Fields = {"name": "tpe", "method": "l2", "sampler": _TPE, "pruner": "MedianPruner"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([_replay(of="l3")], "methods.halving.replay_of: 'l3' is no method of this study; did"),
        ([_replay(of="halving")], "methods.halving.replay_of: it names itself; allowed: fixed, l2"),
        ([_replay(), _replay(of="halving") | {"name": "again"}], "halving is a replay itself"),
        ([_replay(of="tpe"), {"name": "tpe", "method": "l2", "sampler": _TPE}], "would have drawn other"),
        ([{"name": "halving", "replay_of": "l2"}], "methods.halving: replay_of needs pruner: "),
        ([{"name": "l3", "method": "l2", "pruner": "NopPruner"}], "methods.l3: pruner needs replay_of: "),
        ([{"name": "l3", "method": "l2", "of": "l2", "pruner": "NopPruner"}], "pruner needs replay_of: "),
        (
            [_SEARCHED, {"name": "c", "method": "l2", "of": "tpe"}],
            "methods.c.of: tpe is searched under a ",
        ),
        ([_SEARCHED | {"pruner": "Median"}], "methods.tpe.pruner: there is no pruner 'Median'; did you mean"),
        ([_replay(of="tpe"), _SEARCHED], "would have drawn other"),
        ([_replay(trials=9)], "methods.halving.trials: it trains nothing, so trials decides nothing"),
        ([_replay(), {"name": "c", "method": "l2", "of": "halving"}], "methods.c.of: halving trains nothing"),
        (
            [
                _replay(of="c"),
                {"name": "c", "method": "l2", "of": "t"},
                {"name": "t", "method": "l2", "sampler": _TPE},
            ],
            "methods.halving.replay_of: c is searched by TPESampler",
        ),
    ],
)
def test_what_cannot_be_replayed_is_refused(tiny: Fields, entries: list[Fields], message: str) -> None:
    tiny["methods"] = [*tiny["methods"], *entries]
    with pytest.raises(StudyError) as refused:
        plan_of(tiny)
    assert message in str(refused.value)


def test_a_replay_is_no_baseline(tiny: Fields) -> None:
    tiny["methods"] = [*tiny["methods"], _replay()]
    tiny["claim"]["baseline"] = "halving"
    with pytest.raises(StudyError, match=r"claim.baseline: halving replays l2 and trains nothing"):
        plan_of(tiny)


@pytest.mark.parametrize(("schedule", "said"), [("CosineAnnealingLR", True), ("", False)])
def test_the_plan_says_where_a_schedule_makes_a_replay_counterfactual(
    tiny: Fields, schedule: str, said: bool
) -> None:
    tiny["methods"] = [*tiny["methods"], _replay()]
    tiny["training"]["schedule"] = {"name": schedule}
    assert any("counterfactual" in warning for warning in plan_of(tiny).warnings) == said


def test_a_search_that_learns_is_planned_under_its_pruner(tiny: Fields) -> None:
    tiny["methods"] = [*tiny["methods"], _SEARCHED]
    tiny["training"]["schedule"] = {"name": "CosineAnnealingLR"}
    plan = plan_of(tiny)
    arm = plan.arms["digits/mlp/tpe"]
    assert (arm.sampling, plan.is_replayed(arm), plan.replays) == ("pruned", True, {})
    options = {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1}
    assert arm.pruner == {"name": "MedianPruner", "options": options}
    assert any(warning.startswith("tpe: ") and "counterfactual" in warning for warning in plan.warnings)
    written = read_written(json.loads(json.dumps(plan.to_json())), "plan.json")
    assert written.arms["digits/mlp/tpe"].pruner == arm.pruner
    assert written.arms["digits/mlp/l2"].pruner is None


def test_a_run_that_goes_on_keeps_the_options_of_its_pruner_and_no_other_pruners(tiny: Fields) -> None:
    tiny["methods"] = [*tiny["methods"], _SEARCHED]
    begun = plan_of(tiny).arms["digits/mlp/tpe"].design()
    kept = replace(begun, pruner={"name": "MedianPruner", "options": {"n_startup_trials": 9}})
    for name, written, expected in (
        ("MedianPruner", {}, 9),
        ("MedianPruner", {"n_startup_trials": 2}, 2),
        ("PercentilePruner", {"percentile": 50.0}, 5),
    ):
        pruner = plan_pruner(Pruner(name=name, options=written), kept)
        assert pruner["options"]["n_startup_trials"] == expected
