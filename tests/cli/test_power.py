"""What a plan says that its trials can find."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.cli.views.power import power_lines
from harness.study.parts import StudyError
from reports.statistics.pools import POOLS
from tests.making import plan_of, put


def planned(tiny: dict[str, Any], **claim: Any) -> dict[str, Any]:
    fields = put(tiny, "trials", 60)
    for name, value in claim.items():
        fields = put(fields, f"claim.{name}", value)
    return fields


def pilot(path: Path, method: str) -> str:
    held = POOLS[0].pilot(1)
    rows = {"dataset": "mnist", "architecture": "mlp", "method": method, "sampling": "iid"}
    frame = pd.DataFrame({"val_accuracy": held.validation[:50], "test_accuracy": held.test[:50]})
    frame.assign(**rows).to_csv(path, index=False)
    return str(path)


def test_without_a_pilot_it_is_called_a_guess(tiny: dict[str, Any]) -> None:
    (line,) = power_lines(plan_of(planned(tiny, n=5, cost="trials")))
    assert line.startswith("Power: a true saving of 2× is found with probability ")
    assert "60 trials an arm" in line
    assert "a guess, from 6 pools" in line


def test_too_few_trials_find_nothing(tiny: dict[str, Any]) -> None:
    (line,) = power_lines(plan_of(planned(tiny, n=40)))
    assert "never found with 60 trials an arm: n = 40 needs 80" in line


def test_looks_end_with_all_trials(tiny: dict[str, Any]) -> None:
    assert plan_of(planned(tiny, looks=[20, 60])).study.claim.looks == (20, 60)
    with pytest.raises(ValueError, match="the last look is at 50 trials an arm, of 60"):
        plan_of(planned(tiny, looks=[20, 50]))
    with pytest.raises(ValueError, match="looks: numbers of trials from 1 up that grow"):
        plan_of(planned(tiny, looks=[60, 60]))


def test_a_pilot_tells_of_its_own_trials(tiny: dict[str, Any], tmp_path: Path) -> None:
    base = planned(tiny)["claim"]["baseline"]
    path = pilot(tmp_path / "pilot.csv", base)
    (line,) = power_lines(plan_of(planned(tiny, n=5, cost="trials", saving=4.0, pilot=path)))
    assert "a true saving of 4×" in line
    assert "mnist/mlp about ." in line
    assert "guess" not in line


def test_a_pilot_without_the_baseline_is_refused(tiny: dict[str, Any], tmp_path: Path) -> None:
    path = pilot(tmp_path / "pilot.csv", "stranger")
    with pytest.raises(StudyError, match=r"claim\.pilot: .* has no independent trials of the baseline"):
        power_lines(plan_of(planned(tiny, n=5, pilot=path)))
    with pytest.raises(StudyError, match=r"claim\.pilot: .*found nothing"):
        power_lines(plan_of(planned(tiny, n=5, pilot=str(tmp_path / "no.csv"))))
