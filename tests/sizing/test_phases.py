"""Phases that cannot be trained are refused: when they are made, and when a study is planned."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import registry
from harness.sizing import Fixed
from harness.sizing.base import Params, Phase, Schedule, checked_phases
from harness.study.parts import StudyError
from tests.making import Fields, plan_of

BAD: dict[str, Callable[[], Iterable[Any]]] = {
    "none": list,
    "no phase": lambda: ["train"],
    "no epochs": lambda: [Phase(0, 0.1)],
    "negative epochs": lambda: [Phase(5, 0.1), Phase(-3, 0.1)],
    "half an epoch": lambda: [Phase(1.5, 0.1)],  # type: ignore[arg-type]
    "negative rate": lambda: [Phase(1, -0.1)],
    "endless rate": lambda: [Phase(1, float("inf"))],
    "rate that is no number": lambda: [Phase(1, float("nan"))],
    "rate that is a text": lambda: [Phase(1, "0.1")],  # type: ignore[arg-type]
    "no weight decay": lambda: [Phase(1, 0.1, None)],  # type: ignore[arg-type]
    "negative weight decay": lambda: [Phase(1, 0.1, -1.0)],
    "negative steps": lambda: [Phase(1, 0.1, steps_per_epoch=-3)],
    "steps that are a text": lambda: [Phase(1, 0.1, edit_every_steps="2")],  # type: ignore[arg-type]
    "a number for a name": lambda: [Phase(1, 0.1, name=3)],  # type: ignore[arg-type]
    "nothing selectable": lambda: [Phase(1, 0.1, selectable=False)],
    "an exception": lambda: [][0],
}


@dataclass(frozen=True)
class Badly(Fixed):
    """Sizes searched; phases by name from the table above."""

    how: str = ""

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return BAD[self.how]()  # type: ignore[return-value]


@pytest.mark.parametrize("how", [how for how in BAD if how != "an exception"])
def test_they_are_refused(how: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        checked_phases(BAD[how]())


@pytest.mark.parametrize("sampler", ["RandomSampler", "TPESampler"])
@pytest.mark.parametrize("how", BAD)
def test_a_study_with_such_a_method_is_refused_when_it_is_planned(
    tiny: Fields, monkeypatch: pytest.MonkeyPatch, how: str, sampler: str
) -> None:
    monkeypatch.setitem(registry._from_files["methods"], "badly", (Badly, Path(__file__)))
    method = {"name": "badly", "options": {"how": how}, "sampler": {"name": sampler, "round_size": 2}}
    with pytest.raises(StudyError, match=r"^study\.yaml: methods\.badly: phases with 2 epochs: \S.*$"):
        plan_of(tiny | {"methods": ["fixed", method]})


def test_numbers_of_numpy_will_do() -> None:
    [phase] = checked_phases(iter([Phase(np.int64(2), np.float32(0.1))]))  # type: ignore[arg-type]
    assert phase.epochs == 2
