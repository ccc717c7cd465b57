"""Certificates of edits: measured where asked for, and large for a method that removes what it should not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.records.directory import RunDirectory
from harness.results.certificates import largest_changes
from tests.making import Ended, refused
from tests.runs.executors.driving import outcomes_of
from tests.runs.executors.faults import FAULTY, faulty

Fields = dict[str, Any]
Command = Callable[..., Ended]

_ARM = "digits/mlp/"


def study_of_removals(tiny: Fields) -> Fields:
    """One method whose removals are exact, one that takes out a living unit, one without edits."""
    heavy = {"name": "shrinknets", "space": {"lambda": {"low": 0.05, "high": 0.1}}}
    tiny["training"] |= {"epochs": 6}
    return tiny | {
        "methods": ["fixed", heavy, faulty("careless", "careless")],
        "trials": 2,
        "plugins": [FAULTY],
    }


def without_certificates(out: Path) -> dict[str, Any]:
    outcomes = outcomes_of(out)
    for outcome in outcomes.values():
        for event in outcome["events"]:
            event["account"].pop("output_change", None)
    return outcomes


def test_certificates_tell_the_exact_removal_from_the_careless(
    harness_command: Command, write_study: Callable[[Fields], Path], tiny: Fields, tmp_path: Path
) -> None:
    study = write_study(study_of_removals(tiny))
    ended = harness_command(
        "run", study, "--executor", "inline", "--certify", "--out", tmp_path / "certified"
    )
    assert ended.code == 0, ended.err
    found = largest_changes(RunDirectory(tmp_path / "certified"))
    assert found.keys() == {_ARM + "shrinknets", _ARM + "careless"}, "an arm without edits has none"
    exact, careless = found[_ARM + "shrinknets"], found[_ARM + "careless"]
    assert exact.edits > 0
    assert exact.evaluation is not None
    assert exact.training is not None
    assert max(exact.evaluation, exact.training) < 1e-5
    assert careless.edits == 2 * 6
    assert careless.evaluation is not None
    assert careless.training is not None
    assert min(careless.evaluation, careless.training) > 1e-3
    assert exact.bare == careless.bare == 0
    assert f"{_ARM}careless: 12 certified edits; largest change of an output {careless.evaluation:.1e}" in (
        ended.out
    )

    harness_command("run", study, "--executor", "inline", "--out", tmp_path / "bare")
    assert without_certificates(tmp_path / "certified") == without_certificates(tmp_path / "bare")
    bare = largest_changes(RunDirectory(tmp_path / "bare"))[_ARM + "careless"]
    assert (bare.edits, bare.bare) == (0, 12)


def test_a_certified_trial_is_extracted_as_any_other(
    harness_command: Command, write_study: Callable[[Fields], Path], tiny: Fields, tmp_path: Path
) -> None:
    study = write_study(study_of_removals(tiny) | {"methods": ["fixed", "shrinknets"], "plugins": []})
    harness_command("run", study, "--executor", "inline", "--certify", "--out", tmp_path / "run")
    ended = harness_command("extract", tmp_path / "run", "best:shrinknets")
    assert ended.code == 0, ended.err
    assert "Equal to the record, bit for bit" in ended.out


def test_a_network_on_its_way_to_divergence_has_a_record_all_the_same(
    harness_command: Command, write_study: Callable[[Fields], Path], tiny: Fields, tmp_path: Path
) -> None:
    study = study_of_removals(tiny) | {"methods": ["fixed", "shrinknets"], "plugins": []}
    study["training"] |= {"optimizer": {"name": "SGD", "learning_rate": 1e9}, "batch_size": 2000}
    ended = harness_command(
        "run", write_study(study), "--executor", "inline", "--certify", "--out", tmp_path / "run"
    )
    assert ended.code == 0, ended.err
    outcomes = outcomes_of(tmp_path / "run").values()
    assert len(outcomes) == 4
    changes = [event["account"].get("output_change") for outcome in outcomes for event in outcome["events"]]
    assert [None, None] in changes
    assert "of networks whose output was not finite" in ended.out


def test_certificates_are_refused_where_seconds_are_the_claim(
    harness_command: Command, write_study: Callable[[Fields], Path], tiny: Fields, tmp_path: Path
) -> None:
    study = write_study(tiny | {"claim": {"baseline": "fixed", "cost": "train_seconds"}})
    sentence = refused(harness_command("run", study, "--certify", "--out", tmp_path / "run"))
    assert sentence.startswith("--certify: certificates take training time")
    assert not (tmp_path / "run").exists()
