"""Planted faults: whatever differs between a record and its training again is said, never hidden."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.extraction import ExtractionError
from harness.extraction.replanning import replan
from harness.extraction.retraining import Retrained, on_this_machine, retrain
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.trial_runner import TrialRunner
from tests.extraction.runs import Run


@pytest.fixture
def copied(mlp_run: Run, tmp_path: Path) -> Run:
    """A copy of the MLP's run, to be spoilt."""
    folder = tmp_path / "run"
    shutil.copytree(mlp_run.directory.path, folder, ignore=shutil.ignore_patterns("extracted"))
    return Run(RunDirectory(folder), mlp_run.data_root)


def _forge(run: Run, **fields: Any) -> Record:
    """Put a changed record of the best shrinking trial in place of the true one, checksum and all."""
    forged = dataclasses.replace(run.record("best:shrinknets"), **fields)
    run.directory.store.path(forged.trial_id).unlink()
    assert run.directory.store.write(forged)
    return forged


def _retrain(run: Run, record: Record) -> Retrained:
    plan, trial = replan(run.directory, record, run.data_root, ())
    return retrain(TrialRunner(plan, run.data_root), trial, record, lambda epoch: None)


@pytest.mark.usefixtures("_no_exports")
def test_a_forged_score_is_stated_on_screen_and_in_the_summary(copied: Run) -> None:
    true = copied.record("best:shrinknets")
    forged = _forge(copied, val_score=0.999)
    folder, told = copied.extract(forged.trial_id)
    summary = json.loads((folder / "summary.json").read_text())
    line = f"validation score was 0.999, is now {true.val_score!r}"
    assert "DIFFERS from the record in 1 value(s)" in told
    assert line in told
    assert summary["agreement"]["equal_to_record"] is False
    assert summary["agreement"]["differences"] == [line]
    assert "the record was changed" in summary["agreement"]["verdict"]
    assert summary["scores"]["recorded"]["validation"] == 0.999
    assert summary["scores"]["extracted"]["validation"] == true.val_score


def test_a_forged_loss_or_size_of_any_epoch_is_found(copied: Run) -> None:
    true = copied.record("best:shrinknets")
    first = true.epochs[0]
    size = dataclasses.replace(first.size, units=first.size.units | {"hidden1": 99})
    epochs = [dataclasses.replace(first, train_loss=0.125, size=size), *true.epochs[1:]]
    found = _retrain(copied, _forge(copied, epochs=epochs)).differences
    assert found == (
        f"epoch 1.train_loss was 0.125, is now {first.train_loss!r}",
        f"epoch 1.size.units.hidden1 was 99, is now {first.size.units['hidden1']}",
    )


def test_a_forged_selection_is_found(copied: Run) -> None:
    true = copied.record("best:shrinknets")
    assert true.selected_epoch is not None
    assert true.selected_epoch > 1
    found = _retrain(copied, _forge(copied, selected_epoch=1)).differences
    assert any(line.startswith("validation score was") for line in found)


def test_another_machine_is_named_as_the_reason(copied: Run) -> None:
    true = copied.record("best:shrinknets")
    provenance = true.provenance | {"packages": true.provenance["packages"] | {"torch": "1.0.0"}}
    costs = dataclasses.replace(true.costs, device="another processor")
    retrained = _retrain(copied, _forge(copied, test_score=0.5, provenance=provenance, costs=costs))
    assert retrained.circumstances[0].startswith("torch was '1.0.0', is now")
    assert "device was 'another processor'" in retrained.verdict()
    assert "the record was changed" not in retrained.verdict()


def test_a_trial_of_a_gpu_is_trained_on_the_cpu_where_there_is_none(
    copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _ = replan(copied.directory, copied.record("best"), copied.data_root, ())
    resources = plan.study.resources.model_copy(update={"gpus": 0.5})
    on_gpu = dataclasses.replace(plan, study=plan.study.model_copy(update={"resources": resources}))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert on_this_machine(on_gpu) is on_gpu
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert on_this_machine(on_gpu) == plan


def test_forged_parameters_are_refused(copied: Run) -> None:
    forged = _forge(copied, params={"lambda": 0.5})
    with pytest.raises(ExtractionError, match=r"its record is of another trial .* its params differ"):
        copied.extract(forged.trial_id)


def test_training_that_ends_too_early_is_refused(copied: Run) -> None:
    true = copied.record("best:shrinknets")
    forged = _forge(copied, selected_epoch=5, epochs=[*true.epochs, true.epochs[-1]])
    with pytest.raises(ExtractionError, match="training it again ended after epoch 4, before epoch 5"):
        copied.extract(forged.trial_id)
    assert not (copied.directory.path / "extracted").exists() or not any(
        (copied.directory.path / "extracted").iterdir()
    )
