"""Replayed pruners against Optuna's own, run live; incumbents and costs on a table checked by hand."""

import time
from typing import Any

import numpy as np
import optuna
import pytest

from reports.statistics.bits import Ints
from reports.statistics.recorded import Curves
from reports.statistics.replay import Pool, Search, random_orders, replay, spending, whole_search

NOP: dict[str, Any] = {"name": "NopPruner", "options": {}}
_HALVING = {
    "min_resource": 1,
    "reduction_factor": 4,
    "min_early_stopping_rate": 0,
    "bootstrap_count": 0,
}
_HYPERBAND = {"min_resource": 1, "max_resource": 20, "reduction_factor": 3, "bootstrap_count": 0}
_INTERVAL = {"n_warmup_steps": 0, "interval_steps": 1}
_MEDIAN = {"n_startup_trials": 5, "n_min_trials": 1, **_INTERVAL}
_THRESHOLD = {"lower": 0.3, "upper": None, **_INTERVAL}


def _patient(wrapped: dict[str, Any] | None, patience: int = 2, min_delta: float = 0.0) -> dict[str, Any]:
    options = {"wrapped_pruner": wrapped, "patience": patience, "min_delta": min_delta}
    return {"name": "PatientPruner", "options": options}


def _pruner(name: str, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"name": f"{name}Pruner", "options": {**options, **changes}}


_PRUNERS = [
    _pruner("Median", _MEDIAN),
    _pruner("Median", _MEDIAN, n_startup_trials=0, n_warmup_steps=3, interval_steps=4, n_min_trials=3),
    _pruner("Percentile", _MEDIAN, percentile=25.0),
    _pruner("Percentile", _MEDIAN, percentile=66.6, n_startup_trials=2),
    _pruner("SuccessiveHalving", _HALVING),
    _pruner("SuccessiveHalving", _HALVING, min_resource="auto", reduction_factor=2),
    _pruner("SuccessiveHalving", _HALVING, min_resource=2, min_early_stopping_rate=1, bootstrap_count=4),
    _pruner("Hyperband", _HYPERBAND) | {"study_name": "a study"},
    _pruner("Hyperband", _HYPERBAND, max_resource="auto", reduction_factor=2) | {"study_name": "b"},
    _pruner("Threshold", _THRESHOLD),
    _pruner("Threshold", _THRESHOLD, upper=0.8, n_warmup_steps=2, interval_steps=3),
    _patient(None),
    _patient(_pruner("Median", _MEDIAN), patience=1, min_delta=0.01),
    _patient(_pruner("SuccessiveHalving", _HALVING, min_resource="auto", reduction_factor=2), patience=0),
    _patient(_pruner("Hyperband", _HYPERBAND), patience=0) | {"study_name": "c"},
    _patient(_patient(_pruner("Threshold", _THRESHOLD)), patience=0),
    NOP,
]


def _curves(seed: int, trials: int = 60, epochs: int = 20, higher: bool = True) -> Curves:
    """Noisy learning curves, rounded so that many are equal; some diverge, end early or report NaN."""
    generator = np.random.default_rng(seed)
    level = generator.beta(2, 2, trials)[:, None]
    rise = 1 - np.exp(-np.arange(1, epochs + 1) / generator.uniform(1, 9, trials)[:, None])
    scores = np.round(level * rise + generator.normal(0, 0.03, (trials, epochs)), 2)
    lengths = np.full(trials, epochs)
    failed = np.zeros(trials, dtype=np.bool_)
    failed[generator.choice(trials, 6, replace=False)] = True
    lengths[failed] = generator.integers(0, epochs, 6)
    early = generator.choice(np.flatnonzero(~failed), 5, replace=False)
    lengths[early] = generator.integers(1, epochs, 5)
    scores[generator.random(scores.shape) < 0.02] = np.nan
    scores[np.arange(epochs) >= lengths[:, None]] = np.nan
    return Curves(scores if higher else 1 - scores, lengths, failed, higher)


def _live(curves: Curves, pruner: dict[str, Any], order: Ints) -> list[int]:
    """Epochs after which Optuna's own pruner stops trials of a sequential study; 0 where it does not."""
    study = optuna.create_study(
        study_name=pruner.get("study_name"),
        pruner=_of_optuna(pruner),
        sampler=optuna.samplers.RandomSampler(seed=0),
        direction="maximize" if curves.higher_is_better else "minimize",
    )
    stops = []
    for number in order:
        trial, stopped = study.ask(), 0
        for epoch in range(1, int(curves.lengths[number]) + 1):
            trial.report(float(curves.scores[number, epoch - 1]), epoch)
            if trial.should_prune():
                stopped = epoch
                break
        if stopped:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif curves.failed[number]:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, 0.5)
        stops.append(stopped)
    return stops


def _of_optuna(pruner: dict[str, Any]) -> optuna.pruners.BasePruner:
    options = dict(pruner["options"])
    if options.get("wrapped_pruner"):
        options["wrapped_pruner"] = _of_optuna(options["wrapped_pruner"])
    made: optuna.pruners.BasePruner = getattr(optuna.pruners, pruner["name"])(**options)
    return made


def _pool(curves: Curves) -> Pool:
    trials, epochs = curves.scores.shape
    turned = np.where(np.isnan(curves.scores), -np.inf, curves.turned)
    at = np.array([[int(turned[t, : e + 1].argmax()) for e in range(epochs)] for t in range(trials)])
    best = np.take_along_axis(curves.scores, at, axis=1)
    costs = np.tile(np.arange(1.0, epochs + 1), (trials, 1))
    return Pool(curves, best, best + 1, costs, curves.lengths + curves.failed * 0.5, 0.1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("pruner", _PRUNERS, ids=lambda pruner: str(pruner["name"]))
def test_a_replay_stops_what_optunas_own_pruner_stops_when_it_runs_live(
    pruner: dict[str, Any], higher: bool
) -> None:
    curves = _curves(len(str(pruner)), 70 if higher else 30, 10, higher)
    orders = random_orders(len(curves.scores), 2, 3)
    orders[0] = np.arange(len(curves.scores))  # the order of the plan
    found = replay(_pool(curves), pruner, orders, np.array([np.inf])).stops
    for order, stops in zip(orders, found, strict=True):
        assert stops.tolist() == _live(curves, pruner, order)


def _by_hand() -> Pool:
    """Three trials. Validation 5 6 7, 9 8 and diverged, 1 2 8; test is a tenth of the best and 1 more."""
    scores = np.array([[5.0, 6, 7], [9, 8, np.nan], [1, 2, 8]])
    best = np.array([[5.0, 6, 7], [9, 9, 9], [1, 2, 8]])
    costs = np.tile([1.0, 2, 3], (3, 1))
    curves = Curves(scores, np.array([3, 2, 3]), np.array([False, True, False]))
    return Pool(curves, best, best / 10 + 1, costs, np.array([3.0, 2.5, 3.0]), 0.0)


def test_budgets_cut_trials_and_failures_take_their_networks_along() -> None:
    order = np.array([[1, 0, 2]])
    budgets = np.array([0.5, 1.0, 2.0, 2.5, 3.5, 4.9, 8.0, 9.0])
    found = replay(_by_hand(), NOP, order, budgets)
    # Nothing yet; 9 while the trial lives; nothing once it diverged; then 5, 6 (of two epochs) and 7, 8.
    assert found.test[0] == pytest.approx([0.0, 1.9, 1.9, 0.0, 1.5, 1.6, 1.7, 1.8])
    assert found.begun[0].tolist() == [1, 1, 1, 1, 2, 2, 3, 3]
    assert found.exhausted[0].tolist() == [False] * 7 + [True]


def test_a_stopped_trial_keeps_its_network_and_costs_what_it_cost() -> None:
    threshold = _pruner("Threshold", _THRESHOLD, lower=None, upper=4.0)
    found = replay(_by_hand(), threshold, np.array([[1, 0, 2]]), np.array([1.0, 1.5, 3.0, 20.0]))
    # The first two are stopped after one epoch, before the one would have diverged; the third after three.
    assert found.stops[0].tolist() == [1, 1, 3]
    assert found.test[0] == pytest.approx([1.9, 1.9, 1.9, 1.9])


def test_a_whole_search_pays_for_every_trial_in_its_order() -> None:
    order, median = np.array([2, 0, 1]), _pruner("Median", _MEDIAN, n_startup_trials=1)
    # The second is stopped at its last epoch, where it is worse for the first time: it pays for all.
    assert whole_search(_by_hand(), median, order) == Search(1.8, 8.5, stopped=1, finished=1, failed=1)
    # After the best of those that last, the third is stopped at its first epoch.
    order = np.array([0, 1, 2])
    assert whole_search(_by_hand(), median, order) == Search(1.7, 6.5, stopped=1, finished=1, failed=1)
    assert whole_search(_by_hand(), NOP, order) == Search(1.8, 8.5, stopped=0, finished=2, failed=1)


def test_limits_come_from_deleting_trials_and_the_difference_of_equal_searches_is_sure() -> None:
    curves = _curves(5, 12, 6)
    (first, second), gap = spending(_pool(curves), (NOP, NOP), np.array([6.0, 12.0]), 0, 50)
    assert gap is not None
    assert (first.se > 0).all()
    assert np.array_equal(first.value, second.value)
    assert (gap.value == 0).all()
    assert (gap.se == 0).all()


def test_a_thousand_orders_take_less_than_two_seconds() -> None:
    pool, orders = _pool(_curves(1)), random_orders(60, 1_000, 0)
    started = time.process_time()
    replay(pool, _PRUNERS[0], orders, np.array([np.inf]))
    assert time.process_time() - started < 2
