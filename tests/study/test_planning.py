"""From a study to its plan: what only the parts and the data can check, ids, seeds, pairs, warnings."""

from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.datasets import DatasetFacts, DatasetSpec
from harness.search.samplers import sampler_names
from harness.search.space import Choice, Float, Int
from harness.study.parts import StudyError
from harness.study.plan import Plan
from tests.making import facts_of, plan_of, put, trials_of, warnings_of

Fields = dict[str, Any]


def ids_of(plan: Plan) -> set[str]:
    return {trial.id for trials in plan.frozen.values() for trial in trials}


_TPE = {"name": "TPESampler", "round_size": 2, "options": {"n_startup_trials": 2}}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("methods", ["fixd", "fixed"], "methods.fixd: there is no method 'fixd'; did you mean 'fixed'?"),
        ("methods", ["fixd", "l2"], "methods.fixd: there is no method 'fixd'; did you mean 'fixed'?"),
        ("methods.1", {"name": "l2", "options": {"a": 1}}, "methods.l2: l2 has no option 'a'; allowed: none"),
        (
            "architectures.0.name",
            "mpl",
            "architectures.mpl: there is no architecture 'mpl'; did you mean 'ml",
        ),
        ("architectures.0.family", "lenet", "architectures.mlp: there is no architecture 'lenet'; did you m"),
        (
            "architectures.0.options",
            {"hidden_layer": 2},
            "architectures.mlp: mlp has no option 'hidden_layer'; did you mean 'hidden_layers'?",
        ),
        (
            "architectures.0.options",
            {"hidden_layers": 0},
            "architectures.mlp: mlp: hidden_layers must be at least 1 and at most 1,000, found 0",
        ),
        (
            "architectures.0.options",
            {"activation": "rleu"},
            "architectures.mlp: mlp: option activation: input should be 'relu' or 'tanh', found 'rleu'",
        ),
        (
            "architectures.0.widths",
            {"hiden1": {"low": 1, "high": 2}},
            "architectures.mlp: widths: there is no layer 'hiden1'; did you mean 'hidden1'?",
        ),
        (
            "architectures.0.start",
            {"hiden1": 3},
            "architectures.mlp: start: there is no layer 'hiden1'; did y",
        ),
        (
            "architectures.0",
            {"name": "lenet5", "widths": {"low": 1, "high": 2}},
            "architectures.lenet5: lenet5 needs images (channels x height x width) of at least 16x16",
        ),
        (
            "claim.baseline",
            "fixd",
            "claim.baseline: 'fixd' is no method of this study; did you mean 'fixed'?",
        ),
        (
            "sampler",
            {"name": "TPESmpler"},
            "sampler: there is no sampler 'TPESmpler'; did you mean 'TPESampler'?",
        ),
        (
            "sampler",
            {"name": "TPESampler", "round_size": 1, "options": {"n_startup": 1}},
            "sampler: TPESampler has no option 'n_startup'; did you mean 'n_startup_trials'?",
        ),
        (
            "sampler",
            {"name": "TPESampler", "round_size": 1, "options": {"n_startup_trials": "x"}},
            "sampler: TPESampler cannot search with n_startup_trials: x: ",
        ),
        (
            "sampler",
            {"name": "RandomSampler", "options": {"seed": 1}},
            "sampler: RandomSampler has no option",
        ),
        (
            "sampler",
            {"name": "TPESampler"},
            "sampler: TPESampler learns from results, so it needs round_size",
        ),
        ("sampler", {"name": "GridSampler"}, "sampler: GridSampler needs the option 'search_space'"),
        ("methods.1", {"name": "l2", "sampler": {"name": "TPE"}}, "methods.l2.sampler: there is no sampler"),
        (
            "methods.1",
            {"name": "l2", "sampler": _TPE | {"options": {"n_startup_trials": "x"}}},
            "methods.l2.sampler: TPESampler cannot search",
        ),
        (
            "methods.1",
            {"name": "l2", "space": {"weight_dcay": [1]}},
            "methods.l2.space: nothing called 'weight_dcay' is searched; did you mean 'weight_decay'?",
        ),
        (
            "methods.1",
            {"name": "l2", "space": {"weight_decay": "a"}},
            "methods.l2.space.weight_decay: a numb",
        ),
        (
            "methods.1",
            {"name": "l2", "space": {"hidden1": {"low": 1.5, "high": 2}}},
            "methods.l2.space.hidden1: whole numbers are needed, found low 1.5, high 2",
        ),
        (
            "methods.1",
            {"name": "l2", "space": {"hidden1": {"low": -2, "high": 2}}},
            "methods.l2: space.hidden1: a layer needs at least 1 unit, found -2",
        ),
        (
            "methods.1",
            {"name": "l2", "space": {"hidden1": [0, 8]}},
            "methods.l2: space.hidden1: a layer needs",
        ),
        ("paired", True, None),
    ],
)
def test_one_sentence_names_file_and_field(tiny: Fields, place: str, value: Any, message: str | None) -> None:
    fields = put(tiny, place, value)
    if message is None:
        plan_of(fields)
        fields, message = (
            fields | {"sampler": _TPE},
            "sampler: paired arms need RandomSampler, found TPESampler",
        )
    with pytest.raises(StudyError) as raised:
        plan_of(fields)
    assert str(raised.value).startswith(f"study.yaml: {message}")
    assert "\n" not in str(raised.value)


def test_names_are_checked_before_data_is_touched(tiny: Fields) -> None:
    def prepare(spec: DatasetSpec) -> DatasetFacts:
        raise AssertionError("data was touched")

    with pytest.raises(StudyError, match="no method 'fixd'"):
        plan_of(tiny | {"methods": ["fixd", "fixed"]}, prepare)


def test_no_validation_example_is_refused(tiny: Fields) -> None:
    with pytest.raises(StudyError, match=r"study\.yaml: .*validation.fraction"):
        plan_of(put(tiny, "training.validation_fraction", 1e-6))


def test_a_grid_smaller_than_the_trials_asked_for(tiny: Fields) -> None:
    grid = {"name": "GridSampler", "options": {"search_space": {"hidden1": [4, 8]}}}
    fields = tiny | {"methods": ["fixed"], "sampler": grid}
    assert len(ids_of(plan_of(fields | {"trials": 2}))) == 2
    with pytest.raises(StudyError, match="GridSampler holds 2 points, but 3 trials are asked for"):
        plan_of(fields)


def test_arms_are_cells_times_methods_in_the_order_written(tiny: Fields) -> None:
    wider = tiny["architectures"][0] | {"name": "deep", "family": "mlp", "options": {"hidden_layers": 2}}
    fields = tiny | {
        "datasets": ["digits", {"name": "more", "source": "npz", "path": "x"}],
        "architectures": [*tiny["architectures"], wider],
    }
    plan = plan_of(fields)
    expected = [f"{d}/{a}/{m}" for d in ("digits", "more") for a in ("mlp", "deep") for m in ("fixed", "l2")]
    assert list(plan.arms) == expected
    assert plan.planned_trials == 8 * 3
    assert plan.arms["more/deep/l2"].space.keys() == {"hidden1", "hidden2", "weight_decay"}


def test_own_settings_of_an_arm(tiny: Fields) -> None:
    put(tiny, "methods.1", {"name": "l2", "trials": 5, "sampler": _TPE | {"replicates": 2}})
    plan = plan_of(put(tiny, "architectures.0.epochs", 7))
    assert plan.planned_trials == 3 + 5 * 2
    assert plan.arms["digits/mlp/l2"].sampling == "adaptive"
    assert {arm.epochs for arm in plan.arms.values()} == {7}
    assert {key for key, _ in plan.frozen} == {"digits/mlp/fixed"}, "adaptive trials are asked for later"


@pytest.mark.parametrize(
    ("name", "written", "domain"),
    [
        ("weight_decay", {"low": 0, "high": 1}, Float(0.0, 1.0)),
        ("weight_decay", {"low": 1, "high": 2, "log": True}, Float(1.0, 2.0, log=True)),
        ("weight_decay", [0, 0.5], Choice((0.0, 0.5))),
        ("weight_decay", 0.1, Choice((0.1,))),
        ("hidden1", {"low": 2, "high": 9.0}, Int(2, 9)),
        ("hidden1", [4, 8], Choice((4, 8))),
        ("hidden1", 8, Choice((8,))),
    ],
)
def test_a_study_may_replace_a_range(tiny: Fields, name: str, written: Any, domain: Any) -> None:
    arm = plan_of(put(tiny, "methods.1", {"name": "l2", "space": {name: written}})).arms["digits/mlp/l2"]
    assert arm.space[name] == domain
    assert type(arm.space[name]) is type(domain)
    if name == "hidden1":
        sizes = [
            int(s) for s in (domain.options if isinstance(domain, Choice) else (domain.low, domain.high))
        ]
        assert arm.reach["hidden1"] == (min(sizes), max(sizes))


def test_draws_lie_in_their_ranges(tiny: Fields) -> None:
    plan = plan_of(tiny | {"trials": 40})
    for key, trials in trials_of(plan).items():
        space = plan.arms[key].space
        assert all(t.params.keys() == space.keys() for t in trials)
        assert all(space[name].contains(value) for t in trials for name, value in t.params.items())
        assert [t.index for t in trials] == list(range(40))


def test_the_same_study_gives_the_same_plan(tiny: Fields) -> None:
    assert plan_of(tiny).to_json() == plan_of(tiny).to_json()


@pytest.mark.parametrize("sampler", ["RandomSampler", "QMCSampler"])
def test_more_trials_keep_those_there_were(tiny: Fields, sampler: str) -> None:
    fields = tiny | {"sampler": {"name": sampler}}
    assert ids_of(plan_of(fields)) < ids_of(plan_of(fields | {"trials": 5}))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("training.epochs", 3),
        ("training.batch_size", 128),
        ("training.optimizer.name", "SGD"),
        ("training.optimizer.learning_rate", 0.1),
        ("training.optimizer.options", {"eps": 1e-6}),
        ("training.validation_fraction", 0.3),
        ("training.time_limit_seconds", 60),
        ("seeds.study", 1),
        ("seeds.split", 1),
        ("resources.cpus", 2),
        ("resources.gpus", 0.5),
        ("architectures.0.options", {"hidden_layers": 1, "activation": "tanh"}),
        ("architectures.0.widths.high", 17),
        ("architectures.0.start", 8),
        ("architectures.0.epochs", 5),
        ("paired", True),
    ],
)
def test_ids_change_with_all_that_defines_a_trial(tiny: Fields, place: str, value: Any) -> None:
    before = ids_of(plan_of(tiny))
    assert not before & ids_of(plan_of(put(tiny, place, value)))


def test_ids_change_with_the_data_and_with_the_options_of_a_method(tiny: Fields, tmp_path: Path) -> None:
    tiny["methods"] = ["fixed", "shrinknets"]
    before = trials_of(plan_of(tiny))
    other_data = trials_of(plan_of(tiny, lambda spec: facts_of(spec, fingerprint="g")))
    assert not {t.id for ts in before.values() for t in ts} & {t.id for ts in other_data.values() for t in ts}
    put(tiny, "methods.1", {"name": "shrinknets", "options": {"min_units": 2}})
    after = trials_of(plan_of(tiny))
    assert before["digits/mlp/fixed"] == after["digits/mlp/fixed"], "another method's options do not matter"
    assert before["digits/mlp/shrinknets"][0].id != after["digits/mlp/shrinknets"][0].id


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("description", "in other words"),
        ("name", "another"),
        ("claim", {"baseline": "l2", "n": 7, "cost": "trials", "margin": 0.5}),
    ],
)
def test_ids_do_not_change_with_words_and_claims(tiny: Fields, place: str, value: Any) -> None:
    before = ids_of(plan_of(tiny))
    assert before == ids_of(plan_of(put(tiny, place, value)))


def test_unpaired_arms_share_neither_draws_nor_seeds(tiny: Fields) -> None:
    arms = trials_of(plan_of(tiny))
    fixed, l2 = arms["digits/mlp/fixed"], arms["digits/mlp/l2"]
    assert {t.pair_id for t in fixed + l2} == {None}
    assert not {s for t in fixed for s in t.seeds.values()} & {s for t in l2 for s in t.seeds.values()}
    many = trials_of(plan_of(tiny | {"trials": 30}))
    assert [t.params["hidden1"] for t in many["digits/mlp/fixed"]] != [
        t.params["hidden1"] for t in many["digits/mlp/l2"]
    ]


def test_paired_arms_share_draws_and_seeds_whatever_else_they_search(tiny: Fields) -> None:
    wider = tiny["architectures"][0] | {"name": "other", "family": "mlp"}
    fields = tiny | {"paired": True, "trials": 9, "architectures": [*tiny["architectures"], wider]}
    arms = trials_of(plan_of(fields))
    fixed, l2 = arms["digits/mlp/fixed"], arms["digits/mlp/l2"]
    assert [t.params["hidden1"] for t in fixed] == [t.params["hidden1"] for t in l2]
    assert [t.seeds for t in fixed] == [t.seeds for t in l2]
    assert [t.pair_id for t in fixed] == [t.pair_id for t in l2]
    assert len({t.pair_id for t in fixed}) == 9
    assert not {t.id for t in fixed} & {t.id for t in l2}
    other = arms["digits/other/fixed"]
    assert not {t.pair_id for t in other} & {t.pair_id for t in fixed}, "cells are not paired with each other"


def test_seeds_differ_between_trials_replicates_and_purposes(tiny: Fields) -> None:
    plan = plan_of(tiny | {"sampler": {"name": "RandomSampler", "replicates": 3}})
    seeds = [seed for trials in plan.frozen.values() for t in trials for seed in t.seeds.values()]
    assert len(seeds) == 2 * 3 * 3 * 3
    assert len(set(seeds)) == len(seeds)
    first = [[t.params for t in plan.frozen["digits/mlp/l2", r]] for r in range(3)]
    assert first[0] != first[1] != first[2]


# --- what the plan warns of


def test_a_fair_study_has_no_warning(tiny: Fields) -> None:
    assert warnings_of(tiny) == ()


def test_different_upper_bounds_are_a_warning(tiny: Fields) -> None:
    put(tiny, "methods.1", {"name": "l2", "space": {"hidden1": {"low": 4, "high": 32, "log": True}}})
    assert warnings_of(tiny) == (
        "digits/mlp: fixed and l2 cannot reach the same sizes; largest number of units: hidden1 16 and 32",
        "digits/mlp: fixed and l2 draw hidden1 from different ranges: 4-16 (log) and 4-32 (log)",
    )


def test_a_start_below_what_the_others_reach_is_a_warning(tiny: Fields) -> None:
    fields = put(put(tiny, "methods", ["fixed", "shrinknets"]), "controls", "all")
    assert warnings_of(fields) == ()
    assert warnings_of(put(fields, "architectures.0.start", 12)) == (
        "digits/mlp: fixed and shrinknets cannot reach the same sizes; largest number of units: "
        "hidden1 16 and 12",
    )


def test_unequal_numbers_of_trials_are_a_warning(tiny: Fields) -> None:
    put(tiny, "methods.1", {"name": "l2", "trials": 7})
    assert warnings_of(tiny) == ("digits/mlp: fixed has 6 trials, l2 has 7",)


def test_too_few_trials_for_the_claim_are_a_warning(tiny: Fields) -> None:
    assert warnings_of(put(tiny, "claim.n", 2)) == tuple(
        f"digits/mlp/{method}: 6 trials are too few to speak of the best of n = 2; at least 11 are needed, "
        "better 20"
        for method in ("fixed", "l2")
    )


def test_an_adaptive_arm_needs_replicates_and_is_unlike_a_random_one(tiny: Fields) -> None:
    put(tiny, "methods.1", {"name": "l2", "sampler": _TPE})
    assert warnings_of(tiny) == (
        "digits/mlp: fixed is sampled iid, l2 adaptive; formulas for independent trials do not hold between "
        "them",
        "digits/mlp/l2: TPESampler makes one search of 6 trials, replicated 1 time(s); to compare searches 5 "
        "are needed",
    )
    put(tiny, "methods.1.sampler.replicates", 5)
    assert len(warnings_of(tiny)) == 1


def test_cells_are_not_compared_with_each_other(tiny: Fields) -> None:
    wider = {"name": "wide", "family": "mlp", "widths": {"low": 4, "high": 4096}}
    assert warnings_of(tiny | {"architectures": [*tiny["architectures"], wider]}) == ()


@pytest.mark.parametrize("name", sorted(set(sampler_names()) - {"GridSampler", "BruteForceSampler"}))
def test_every_sampler_can_be_planned_with(tiny: Fields, name: str) -> None:
    adaptive = name not in ("RandomSampler", "QMCSampler")
    sampler = {"name": name, "round_size": 2} if adaptive else {"name": name}
    plan_of(tiny | {"sampler": sampler})


def test_whatever_a_strangers_method_raises_is_told_in_one_sentence(tiny: Fields, tmp_path: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "from harness.sizing.methods.fixed import Fixed\n"
        "@dataclass(frozen=True)\n"
        "class Broken(Fixed):\n"
        "    def space(self, cell):\n"
        "        return {}['no such key']\n"
        "METHODS = {'broken': Broken}\n"
    )
    registry.load_file(plugin)
    fields = tiny | {"methods": ["fixed", "broken"], "claim": {"baseline": "fixed"}}
    with pytest.raises(StudyError, match=r"methods\.broken: Broken\.space raised KeyError: 'no such key'"):
        plan_of(fields)
