"""Pages that are looked at as trials come."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.design import StudyDesign
from reports.settings import Settings
from reports.write import write_report
from tests.reports.tables import arm, designed, judged, only, table

GENERATOR = np.random.default_rng(8)
SCORES = {name: GENERATOR.random(60) for name in ("base", "new")}


def trials(count: int) -> pd.DataFrame:
    return table(*(arm(name, scores[:count]) for name, scores in SCORES.items()))


def declaring(*looks: int) -> StudyDesign:
    design = designed(trials(60))
    return replace(design, claim=replace(design.claim, looks=looks))


def test_a_declared_look_has_its_part_of_the_error() -> None:
    design = declaring(20, 40, 60)
    early, late = (judged(trials(count), design, n=None) for count in (25, 60))
    assert early.looks is not None
    assert late.looks is not None
    assert early.looks.declared == "look 1 of 3 declared"
    assert late.looks.declared == "look 3 of 3 declared"
    assert early.looks.alpha < late.looks.alpha < 0.05
    assert only(early).level_adjusted == 1 - early.looks.alpha


def test_nothing_is_claimed_before_the_first_look() -> None:
    contrast = only(judged(trials(15), declaring(20, 60), n=None))
    assert contrast.verdict.kind == "refused"
    assert "the first look that the study declared is at 20 trials" in contrast.verdict.sentence


def test_looks_are_counted_by_what_they_looked_at(tmp_path: Path) -> None:
    def look(count: int) -> dict[str, Any]:
        write_report(trials(count), tmp_path, settings=Settings(baseline="base", n=3, resamples=20))
        found = json.loads((tmp_path / "results.json").read_text())
        assert isinstance(found, dict)
        return found

    assert look(20)["analysis"]["looks"]["number"] == 1
    assert look(20)["analysis"]["looks"]["number"] == 1  # the same trials again
    again = look(40)
    assert again["analysis"]["looks"]["number"] == 2
    assert any(warning["code"] == "looks" for warning in again["warnings"])
