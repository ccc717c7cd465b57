"""Searches: every sampler by name, frozen draws, paired draws, asking and telling."""

from math import exp

import optuna
import pytest

from harness.search.pruners import make_pruner, pinned_pruner
from harness.search.samplers import (
    Search,
    all_options,
    check_sampler,
    describe_sampler,
    draw_frozen,
    draw_paired,
    make_sampler,
    sampler_names,
    sampling_of,
)
from harness.search.space import Choice, Float, Int, Scalar, Space

SPACE: Space = {
    "units": Int(4, 64, log=True),
    "decay": Float(1e-5, 1e-2, log=True),
    "rate": Float(0, 1),
    "kind": Choice(("a", "b")),
    "constant": Choice((0.5,)),
}
_GRID = {"GridSampler": {"search_space": {"units": [4, 8], "kind": ["a", "b"]}}}


def inside(space: Space, points: list[dict[str, Scalar]]) -> bool:
    return all(
        point.keys() == space.keys() and all(space[name].contains(value) for name, value in point.items())
        for point in points
    )


def test_kinds_of_sampling() -> None:
    kinds = {name: sampling_of(name) for name in sampler_names()}
    assert kinds["RandomSampler"] == "iid"
    assert kinds["QMCSampler"] == kinds["GridSampler"] == "design"
    assert kinds["TPESampler"] == kinds["GPSampler"] == kinds["CmaEsSampler"] == "adaptive"
    assert not {"BaseSampler", "PartialFixedSampler"} & kinds.keys()


@pytest.mark.parametrize("name", sampler_names())
def test_every_sampler_is_described_with_all_its_options(name: str) -> None:
    options = _GRID.get(name, {})
    check_sampler(name, options)
    text = describe_sampler(name, options)
    assert text.startswith(f"{name}(")
    assert ", Optuna " in text
    assert " at 0x" not in text, "an address would make the plan another one in every process"
    assert "seed=" not in text


def test_a_description_holds_what_was_asked_for_and_the_defaults() -> None:
    text = describe_sampler("TPESampler", {"n_startup_trials": 3})
    assert "n_startup_trials=3" in text
    assert "multivariate=" in text


@pytest.mark.parametrize("name", ["RandomSampler", "QMCSampler"])
def test_frozen_draws_depend_on_the_seed_alone(name: str) -> None:
    first = draw_frozen(SPACE, name, {}, 1, 20)
    assert first == draw_frozen(SPACE, name, {}, 1, 20)
    assert first[:5] == draw_frozen(SPACE, name, {}, 1, 5)
    assert inside(SPACE, first)
    if name == "RandomSampler":
        assert first != draw_frozen(SPACE, name, {}, 2, 20)


def test_a_grid_is_drawn_whole() -> None:
    space: Space = {"units": Choice((4, 8)), "kind": Choice(("a", "b"))}
    points = draw_frozen(space, "GridSampler", _GRID["GridSampler"], 0, 4)
    assert {(point["units"], point["kind"]) for point in points} == {(u, k) for u in (4, 8) for k in "ab"}


def test_paired_draws_are_shared_by_quantile() -> None:
    narrow = draw_paired({"units": Int(1, 1000), "rate": Float(0, 1)}, 7, 50)
    wide = draw_paired({"decay": Float(0, 1), "rate": Float(10, 30), "units": Int(1, 1000)}, 7, 50)
    assert [p["units"] for p in narrow] == [p["units"] for p in wide]
    assert [10 + 20 * float(p["rate"]) for p in narrow] == pytest.approx([p["rate"] for p in wide])
    twins = draw_paired({"one": Float(0, 1), "two": Float(0, 1)}, 7, 50)
    assert all(point["one"] != point["two"] for point in twins), "parameters are drawn apart"
    assert draw_paired({"units": Int(1, 1000)}, 8, 50) != draw_paired({"units": Int(1, 1000)}, 7, 50)


def test_large_seeds_are_taken() -> None:
    for name in sampler_names():
        make_sampler(name, _GRID.get(name, {}), 2**63 - 1)


def adaptive() -> list[str]:
    """GPSampler is left out where many points are asked for: each takes it a second."""
    return [name for name in sampler_names() if sampling_of(name) == "adaptive" and name != "GPSampler"]


def searched(
    name: str, scores: list[float | None], written_out: bool = False
) -> list[list[dict[str, Scalar]]]:
    """Rounds of four under fixed scores."""
    space: Space = {"rate": Float(0, 1), "units": Int(4, 64)}
    options: dict[str, object] = {}
    if name in ("TPESampler", "CmaEsSampler"):
        options = {"n_startup_trials": 2}
    elif name.startswith("NSGA"):
        options = {"population_size": 4}
    if written_out:
        options = all_options(name, options, {})
    search = Search(space, make_sampler(name, options, 3))
    rounds = []
    for start in range(0, len(scores), 4):
        rounds.append(search.ask(4))
        assert inside(space, rounds[-1])
        search.tell(scores[start : start + 4])
    return [*rounds, search.ask(4)]


_SCORES = [0.1, None, 0.9, 0.5, 0.2, 0.3, None, 0.4, 0.6, 0.7, 0.65, 0.1, 0.8, 0.2, 0.3, 0.4]


@pytest.mark.parametrize("name", adaptive())
def test_the_same_scores_give_the_same_search(name: str) -> None:
    assert searched(name, _SCORES) == searched(name, _SCORES)


@pytest.mark.parametrize("name", adaptive())
def test_options_written_out_search_as_defaults_do(name: str) -> None:
    assert searched(name, _SCORES, written_out=True) == searched(name, _SCORES)


def test_options_of_a_run_begun_go_before_defaults_and_behind_what_is_written() -> None:
    pinned = {"n_startup_trials": 3, "n_ei_candidates": 5, "long_gone": None}
    options = all_options("TPESampler", {"n_startup_trials": 4}, pinned)
    assert (options["n_startup_trials"], options["n_ei_candidates"]) == (4, 5)
    assert "group" in options
    assert "long_gone" not in options
    with pytest.raises(ValueError, match=r"begun with TPESampler's long_gone = True, and Optuna .* no such"):
        all_options("TPESampler", {}, {"long_gone": True})


@pytest.mark.parametrize("name", adaptive())
def test_other_scores_give_another_search(name: str) -> None:
    others = [score and 1 - score for score in _SCORES]
    first, second = searched(name, _SCORES), searched(name, others)
    assert first[0] == second[0], "nothing was told before the first round"
    assert first[-1] != second[-1]


@pytest.mark.parametrize("name", adaptive())
def test_a_round_of_failures_ends_no_search(name: str) -> None:
    assert len(searched(name, [None] * 8)) == 3


def test_better_is_higher() -> None:
    def last_points(sign: int) -> float:
        search = Search({"rate": Float(-1, 1)}, make_sampler("TPESampler", {"n_startup_trials": 4}, 0))
        for _ in range(10):
            points = [float(point["rate"]) for point in search.ask(4)]
            search.tell([sign * point for point in points])
        return sum(points) / len(points)

    assert last_points(-1) < -0.2 < 0.2 < last_points(1)


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("pruner", ["MedianPruner", "SuccessiveHalvingPruner", "HyperbandPruner"])
def test_a_search_under_a_pruner_in_rounds_of_one_is_a_sequential_study(pruner: str, better: str) -> None:
    """Against Optuna alone, whose objective reports and raises while it goes; some trials fail."""
    sign = 1 if better == "higher" else -1
    options: dict[str, object] = {"n_startup_trials": 2}
    pinned = {**pinned_pruner(pruner, options if pruner == "MedianPruner" else {}), "study_name": "s"}

    def curve_of(units: int) -> list[tuple[int, float]]:
        rise = 0.1 + units * 37 % 11 / 20
        return [(epoch, sign * (1 - exp(-rise * epoch))) for epoch in range(1, 10)]

    def objective(trial: optuna.Trial) -> float:
        units = trial.suggest_int("units", 4, 64)
        for epoch, score in curve_of(units):
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        if units % 5 == 0:
            raise ZeroDivisionError
        return curve_of(units)[-1][1]

    live = optuna.create_study(
        study_name="s",
        sampler=make_sampler("TPESampler", options, 3),
        pruner=make_pruner(pinned),
        direction="maximize" if sign > 0 else "minimize",
    )
    live.optimize(objective, 40, catch=(ZeroDivisionError,))

    search = Search(
        {"units": Int(4, 64)},
        make_sampler("TPESampler", options, 3),
        higher_is_better=sign > 0,
        pruner=pinned,
    )
    asked, stops = [], list[int | None]()
    for _ in range(40):
        [point] = search.ask(1)
        asked.append(point)
        curve = curve_of(int(point["units"]))
        stops += search.tell([None if int(point["units"]) % 5 == 0 else curve[-1][1]], [curve])
    assert asked == [trial.params for trial in live.trials]
    pruned = [trial.state == optuna.trial.TrialState.PRUNED for trial in live.trials]
    assert [stop is not None for stop in stops] == pruned
    assert 0 < sum(pruned) < 40, "else nothing was compared"
    assert [stop for stop in stops if stop is not None] == [
        trial.last_step for trial in live.trials if trial.state == optuna.trial.TrialState.PRUNED
    ]


def test_without_a_pruner_curves_are_not_looked_at() -> None:
    def third_points(curves: list[list[tuple[int, float]]]) -> list[dict[str, Scalar]]:
        search = Search({"rate": Float(0, 1)}, make_sampler("TPESampler", {"n_startup_trials": 2}, 0))
        search.ask(2)
        assert search.tell([0.1, 0.9], curves) == [None, None]
        return search.ask(3)

    assert third_points([]) == third_points([[(1, 0.9)], [(1, 0.1)]])
