"""Repeats and splits, as planned: whose seeds are whose, which ids stay, what cannot be asked for."""

from typing import Any

import pytest

from harness.study.parts import StudyError
from harness.study.plan import Plan, Trial
from tests.making import plan_of, put, trials_of

Fields = dict[str, Any]
Key = tuple[int, int]


def by_place(plan: Plan, method: str) -> dict[Key, Trial]:
    """Index and repeat -> trial."""
    return {(trial.index, trial.repeat): trial for trial in trials_of(plan)[f"digits/mlp/{method}"]}


def test_the_first_training_of_each_point_is_that_of_a_study_without_repeats(tiny: Fields) -> None:
    before = [trial for trials in trials_of(plan_of(tiny)).values() for trial in trials]
    plan = plan_of(put(tiny, "seeds.repeats", 4))
    assert plan.planned_trials == 4 * len(before)
    trials = [trial for trials in trials_of(plan).values() for trial in trials]
    assert [trial for trial in trials if not trial.repeat] == before
    assert len({trial.id for trial in trials}) == plan.planned_trials


def test_repeats_have_a_points_values_and_other_seeds_and_two_share_an_initialisation(tiny: Fields) -> None:
    plan = plan_of(put(tiny, "seeds.repeats", 5))
    trials = by_place(plan, "l2")
    for index in range(3):
        same = [trials[index, repeat] for repeat in range(5)]
        assert all(trial.params == same[0].params for trial in same)
        inits = [trial.seeds["init"] for trial in same]
        assert inits[1] == inits[2] != inits[3] == inits[4]
        assert inits[0] not in inits[1:]
        for purpose in ("order", "method"):
            assert len({trial.seeds[purpose] for trial in same}) == 5
    every = [seed for t in trials.values() for purpose, seed in t.seeds.items() if purpose != "init"]
    assert len(set(every)) == len(every)


def test_points_are_dealt_over_the_splits_and_keep_theirs_in_every_repeat(tiny: Fields) -> None:
    before = by_place(plan_of(put(tiny, "seeds.split", 7)), "l2")
    plan = plan_of(put(tiny, "seeds", {"split": 7, "splits": 2, "repeats": 2}))
    for method in ("fixed", "l2"):
        found = {place: plan.split_seed(trial) for place, trial in by_place(plan, method).items()}
        assert found == {(index, repeat): 7 + index % 2 for index in range(3) for repeat in range(2)}
    now = by_place(plan, "l2")
    assert [now[index, 0].id == before[index, 0].id for index in range(3)] == [True, False, True]
    other = by_place(plan_of(put(tiny, "seeds.split", 8)), "l2")
    assert now[0, 1].id != other[0, 0].id


def test_replicates_of_independent_draws_begin_on_different_splits(tiny: Fields) -> None:
    tiny["sampler"] = {"name": "RandomSampler", "replicates": 2}
    plan = plan_of(put(tiny, "seeds.splits", 3))
    found = [(t.replicate, t.index, plan.split_seed(t)) for t in trials_of(plan)["digits/mlp/l2"]]
    assert found == [(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 1), (1, 1, 2), (1, 2, 0)]


@pytest.mark.parametrize(
    "sampler", [{"name": "QMCSampler"}, {"name": "TPESampler", "round_size": 2}], ids=["design", "adaptive"]
)
def test_a_whole_search_lies_on_one_split(tiny: Fields, sampler: Fields) -> None:
    tiny["sampler"] = sampler | {"replicates": 3}
    plan = plan_of(put(tiny, "seeds.splits", 2))
    arm = plan.arms["digits/mlp/l2"]
    for replicate in range(3):
        for index in range(3):
            trial = plan.make_trial(arm, replicate, index, {})
            assert plan.split_seed(trial) == replicate % 2


def test_pairs_share_split_and_repeat(tiny: Fields) -> None:
    tiny["methods"] += [{"name": "control", "method": "shrinknets", "of": "l2", "trials": 2}]
    plan = plan_of(put(tiny, "seeds", {"splits": 3, "repeats": 3}))
    theirs, ours = by_place(plan, "l2"), by_place(plan, "control")
    assert sorted(ours) == [(index, repeat) for index in range(2) for repeat in range(3)]
    for place, trial in ours.items():
        assert trial.origin == theirs[place].id
        assert trial.seeds == theirs[place].seeds
        assert trial.pair_id == theirs[place].pair_id
        assert plan.split_seed(trial) == plan.split_seed(theirs[place])
    assert len({trial.pair_id for trial in theirs.values()}) == 9


def test_a_plan_counts_draws_apart_from_repeats(tiny: Fields) -> None:
    plan = plan_of(put(tiny, "seeds.repeats", 9))
    design = plan.arms["digits/mlp/l2"].design()
    assert (design.draws, design.planned_trials) == (3, 27)
    assert any("3 trials are too few" in warning for warning in plan.warnings), "27 are no 27 draws"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"sampler": {"name": "TPESampler", "round_size": 2}, "seeds": {"repeats": 2}},
            "study.yaml: seeds.repeats: 2 found, and TPESampler learns from the trials it is told of, of "
            "which repeats are none; allowed with such a search: 1",
        ),
        (
            {"seeds": {"splits": 4}},
            "study.yaml: seeds.splits: 4 found, more than digits/mlp/fixed can cover with its 3 trials",
        ),
        (
            {"sampler": {"name": "QMCSampler"}, "seeds": {"splits": 2}},
            "study.yaml: seeds.splits: 2 found, more than digits/mlp/fixed can cover with its 1 replicate(s) "
            "of a search that is sampled design, each on one split",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(tiny: Fields, fields: Fields, sentence: str) -> None:
    with pytest.raises(StudyError) as raised:
        plan_of(tiny | fields)
    assert str(raised.value) == sentence
