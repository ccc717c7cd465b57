"""A plan that was changed or damaged is refused in a sentence, wherever that shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.records.directory import DirectoryError, RunDirectory
from tests.making import plan_of, put

ARM = "arms.digits/mlp/l2"


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (f"{ARM}.method", "fixed", r"arms\.digits/mlp/l2: is called digits/mlp/fixed inside"),
        (f"{ARM}.sampling", "x", r"sampling: 'x' found; allowed: iid"),
        (f"{ARM}.origin", "x", r"origin: there is no arm 'x'"),
        (f"{ARM}.trials", 0, r"trials: 0 found; 1 to 200,000 are allowed"),
        (f"{ARM}.replicates", 2**70, r"replicates: 11805\d* found; 1 to 200,000"),
        (f"{ARM}.space.hidden1", {}, r"space\.hidden1: is no range and no choice"),
        (f"{ARM}.space.hidden1.low", "x", r"space\.hidden1: is no range and no choice"),
        (f"{ARM}.space.hidden1.low", 1e9, r"space\.hidden1: is no range and no choice \(low 1"),
        ("data", {}, r"there is no data set 'digits'"),
        ("trials.0.arm", "x", r"trials\.0\.arm: there is no arm 'x'"),
        ("trials.0.id", "y", r"'y' is there twice"),
        ("study.name", "\ud800", r"surrogates not allowed"),
        ("study.trials", [], r"study\.trials"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(
    tmp_path: Path, tiny: dict[str, Any], place: str, value: object, told: str
) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.open_for(plan_of(tiny))
    fields = json.loads(directory.plan_file.read_text())
    fields["trials"][1]["id"] = "y" if place == "trials.0.id" else fields["trials"][1]["id"]
    directory.plan_file.write_text(json.dumps(put(fields, place, value)))
    with pytest.raises(DirectoryError, match=told) as raised:
        directory.read_plan()
    assert str(raised.value).startswith(str(directory.plan_file))
