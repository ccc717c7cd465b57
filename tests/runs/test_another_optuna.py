"""A run goes on under an Optuna with other defaults, and searches as it began."""

from pathlib import Path

import optuna
import pytest

from harness.records.directory import DirectoryError, RunDirectory
from harness.runs.dealing import Dealer
from harness.study.plan import Plan
from harness.study.planning import make_plan
from harness.study.schema import Study
from tests.making import facts_of, plan_of
from tests.runs.dealt import ADAPTIVE, FIELDS, record_of


class Later(optuna.samplers.TPESampler):
    """The sampler as it might be: with other defaults, and without some options."""

    def __init__(
        self,
        *,
        n_startup_trials: int = 3,
        n_ei_candidates: int = 1,
        multivariate: bool | None = False,
        group: bool = False,
        constant_liar: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            n_startup_trials=n_startup_trials,
            n_ei_candidates=n_ei_candidates,
            multivariate=multivariate,
            group=group,
            constant_liar=constant_liar,
            seed=seed,
        )


def searched(plan: Plan) -> set[str]:
    """Ids of all trials of the adaptive arm, once every trial has given what it gives."""
    dealer = Dealer(plan, {}, {})
    while bundle := dealer.deal(1):
        for attempt in bundle.attempts:
            dealer.take(record_of(attempt.trial))
    return {trial.id for trial in dealer.trials.values() if trial.arm == ADAPTIVE}


def going_on(directory: RunDirectory) -> Plan:
    arms = directory.read_plan().arms
    return make_plan(Study.model_validate(FIELDS), "study.yaml", facts_of, begun=arms)


def test_a_run_keeps_the_defaults_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = plan_of(FIELDS)
    directory = RunDirectory(tmp_path / "run")
    directory.open_for(began)
    expected = searched(began)
    monkeypatch.setattr(optuna.samplers, "TPESampler", Later)
    monkeypatch.setattr(optuna, "__version__", "9.0.0")
    directory.open_for(goes_on := going_on(directory))
    assert searched(goes_on) == expected
    afresh = plan_of(FIELDS)
    assert searched(afresh) != expected, "a new run has the defaults of the day"
    with pytest.raises(DirectoryError, match=r"sampler was .*, is now"):
        directory.open_for(afresh)
