"""Studies that ask for more than classes: a regression, scores of one's own, schedules and augmentation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.study.parts import StudyError
from harness.study.plan import Plan
from tests.making import Fields

_HINGE = """
from dataclasses import dataclass
from harness.objectives.regression import Regression

@dataclass(frozen=True)
class Worst(Regression):
    @property
    def score_name(self):
        return "largest_error"

    @property
    def higher_is_better(self):
        return False

    def statistics(self, outputs, y):
        return (outputs.reshape(y.shape) - y).abs().double().sum().reshape(1)

    def score_from(self, statistics, examples):
        return statistics[0] / examples
"""


@pytest.fixture
def sine(tiny: Fields) -> Fields:
    architecture = {"name": "sine-mlp", "widths": {"low": 2, "high": 8}, "start": 8}
    training = {"task": "regression", "epochs": 2, "batch_size": 1000, "optimizer": {"learning_rate": 0.02}}
    return tiny | {
        "datasets": ["sine"],
        "architectures": [architecture],
        "methods": ["fixed", "shrinknets"],
        "trials": 2,
        "training": training,
        "claim": {"baseline": "fixed", "n": 1},
    }


Write = Callable[[Fields], Path]


def test_a_regression_on_the_sine(sine: Fields, write_study: Write, tmp_path: Path) -> None:
    study, out = write_study(sine), tmp_path / "out"
    result = harness.run(study, out, executor="inline")
    records, _ = result.directory.store.read_all()
    assert {record.status for record in records.values()} == {"ok"}
    assert all(record.val_score is not None and record.val_score <= 1 for record in records.values())
    table = harness.load_trials(out)
    assert set(table["score"]) == {"r2"}
    assert set(table["score_direction"]) == {"higher"}
    assert set(table["failed_score"]) == {0.0}, "what a constant answer scores"
    page = harness.report(out).page.read_text()
    assert "r2" in page
    assert "a network that gives every example the same answer" in " ".join(page.split())


def test_lower_is_better_all_the_way(sine: Fields, write_study: Write, tmp_path: Path) -> None:
    sine["training"]["task"] = {"name": "regression", "options": {"score": "mse"}}
    out = tmp_path / "out"
    result = harness.run(write_study(sine), out, executor="inline")
    records, _ = result.directory.store.read_all()
    for record in records.values():
        scores = [epoch.val_score for epoch in record.epochs if epoch.val_score is not None]
        assert record.val_score == min(scores)
    table = harness.load_trials(out)
    assert set(table["score_direction"]) == {"lower"}
    assert table["failed_score"].tolist() == pytest.approx([0.5] * 4, abs=0.01), "of the sine, by its mean"
    arms = harness.report(out).arms
    assert [arm.best_val for arm in arms] == [
        pytest.approx(table.loc[table["method"] == arm.method, "val_score"].min()) for arm in arms
    ]


def test_an_adaptive_search_minimises(sine: Fields, write_study: Write, tmp_path: Path) -> None:
    sine["training"]["task"] = {"name": "regression", "options": {"score": "mse"}}
    sampler = {"name": "TPESampler", "options": {"n_startup_trials": 1}, "round_size": 1}
    result = harness.run(
        write_study(sine | {"sampler": sampler, "methods": ["fixed"], "trials": 3}), tmp_path / "out",
        executor="inline",
    )  # fmt: skip
    assert result.complete
    assert result.plan.score.higher_is_better is False


def test_an_objective_of_ones_own(sine: Fields, write_study: Write, tmp_path: Path) -> None:
    (tmp_path / "worst.py").write_text(_HINGE)
    sine["training"]["task"] = "worst.py:Worst"
    out = tmp_path / "out"
    result = harness.run(write_study(sine | {"methods": ["fixed"], "trials": 1}), out, executor="inline")
    [record] = result.directory.store.read_all()[0].values()
    assert (record.status, record.val_score == min(e.val_score or 9 for e in record.epochs)) == ("ok", True)
    assert set(harness.load_trials(out)["score"]) == {"largest_error"}
    assert "worst.py" in result.plan.sources["sine/sine-mlp/fixed"], "its code is part of a trial's id"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("regresion", "training.task: there is no objective 'regresion'; did you mean 'regression'?"),
        ("classification", "the targets of 'sine' are numbers, and classification needs classes"),
        ({"name": "regression", "options": {"score": "mae"}}, "training.task: regression: option score"),
        ("nowhere:Thing", "there is no module 'nowhere'"),
        ("math:pi", "math:pi must be a dataclass that subclasses Objective"),
    ],
)
def test_tasks_that_cannot_be(task: object, words: str, sine: Fields, write_study: Write) -> None:
    sine["training"]["task"] = task
    with pytest.raises(StudyError) as raised:
        harness.plan(write_study(sine))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_schedule_and_augmentation_for_all_arms(tiny: Fields, write_study: Write, tmp_path: Path) -> None:
    training = tiny["training"] | {
        "schedule": {"name": "CosineAnnealingLR", "every": "step", "warm_up_epochs": 1},
        "augmentation": {"random_crop": {"padding": 1}, "flip": True, "mixup": {"alpha": 0.2}},
        "gradient_clip": 1.0,
        "precision": "bf16",
    }
    changed = tiny | {"training": training, "trials": 1}
    result = harness.run(write_study(changed), tmp_path / "out", executor="inline")
    records, _ = result.directory.store.read_all()
    assert {record.status for record in records.values()} == {"ok"}
    plain = harness.plan(write_study(tiny | {"trials": 1}))
    assert not _ids(result.plan) & _ids(plain), "all of it is part of a trial's identity"


def _ids(plan: Plan) -> set[str]:
    return {trial.id for trials in plan.frozen.values() for trial in trials}


def test_scores_of_two_kinds_make_no_report(sine: Fields, write_study: Write, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    harness.run(write_study(sine), one, executor="inline")
    sine["training"]["task"] = {"name": "regression", "options": {"score": "mse"}}
    harness.run(write_study(sine), other, executor="inline")
    with pytest.raises(ValueError, match=r"training\.task\.options\.score"):
        harness.report(one, other, out=tmp_path / "both")
    assert np.isfinite(harness.load_trials(one)["val_score"].to_numpy(dtype=float)).all()
