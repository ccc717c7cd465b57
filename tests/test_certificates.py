"""Certificates of edits: measured where asked for, and large for a method that removes what it should not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.certificates import largest_changes
from harness.run_directory import RunDirectory
from tests.conftest import Ended
from tests.executors.conftest import FAULTY, faulty, outcomes_of

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
    assert max(exact.evaluation, exact.training) < 1e-5
    assert careless.edits == 2 * 6
    assert min(careless.evaluation, careless.training) > 1e-3
    assert exact.bare == careless.bare == 0
    assert f"{_ARM}careless: 12 certified edits, largest change of an output {careless.evaluation:.1e}" in (
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
