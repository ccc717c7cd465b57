"""How long arms really train: told in the plan, and warned of where it is unequal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import registry
from harness.search.space import Domain, Int
from harness.sizing.base import Cell, Params, Phase, Schedule
from harness.sizing.ledger.counting import FLOPS_PER_MAC
from harness.sizing.methods.fixed import Fixed
from harness.study.lengths import length
from tests.making import Fields, plan_of, put
from tests.training.small import a_job, trained


@dataclass(frozen=True)
class Longer(Fixed):
    """Training that is repeated, and some steps after it."""

    times: int = 5
    steps: int = 0

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        last = (Phase(1, 0.1, steps_per_epoch=self.steps),) if self.steps else ()
        return (Phase(schedule.epochs * int(params.get("times", self.times)), schedule.learning_rate), *last)


@dataclass(frozen=True)
class Draws(Longer):
    def space(self, cell: Cell) -> dict[str, Domain]:
        return super().space(cell) | {"times": Int(1, 3)}


@pytest.fixture(autouse=True)
def _offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, part in (("longer", Longer), ("draws", Draws)):
        monkeypatch.setitem(registry._from_files["methods"], name, (part, Path(__file__)))


@pytest.mark.parametrize("batch_size", [4, 6, 64])
def test_examples_are_counted_as_the_loop_trains_on_them(batch_size: int) -> None:
    phases = (Phase(2, 0.1), Phase(3, 0.1, steps_per_epoch=1), Phase(1, 0.1, steps_per_epoch=9))
    job = a_job(Fixed(), params={"hidden1": 3}, phases=phases, batch_size=batch_size)
    left = trained(job)
    assert left.journal.start_size is not None
    found = length(phases, batch_size, len(job.split.train))
    assert found.examples == left.journal.train_flops / FLOPS_PER_MAC / left.journal.start_size.macs
    assert found.epochs == len(left.journal.epochs)


def test_a_plan_tells_what_methods_make_of_the_epochs_asked_for(tiny: Fields) -> None:
    fields = put(tiny, "methods", ["fixed", {"name": "longer", "options": {"steps": 3}}, "draws"])
    fixed, longer, draws = plan_of(fields | {"trials": 12}).arms.values()
    one_pass = 1150  # of 1438 examples a fifth validates
    assert (fixed.epochs_planned, fixed.examples) == ((2, 2), (2 * one_pass, 2 * one_pass))
    assert longer.design().epochs_planned == (11, 11)
    assert longer.design().examples == (10 * one_pass + 3 * 256,) * 2
    assert draws.examples == (2 * one_pass, 6 * one_pass)


def test_unequal_training_is_a_warning_for_those_unlike_most(tiny: Fields) -> None:
    fields = tiny | {"trials": 6, "methods": ["longer", "fixed", "l2", "draws"]}
    warnings = [warning for warning in plan_of(fields).warnings if "epochs" in warning]
    assert warnings == [
        "digits/mlp: longer trains for 10 epochs on 11,500 examples a trial, fixed for 2 on 2,300, "
        "5 x as long; the study asks for 2 epochs",
        "digits/mlp: draws trains for 2-6 epochs on 2,300-6,900 examples a trial, fixed for 2 on 2,300, "
        "up to 3 x as long; the study asks for 2 epochs",
    ]


def test_arms_that_are_alike_are_no_warning_however_long(tiny: Fields) -> None:
    tiny["methods"] = ["longer", {"name": "other", "method": "longer"}]
    assert plan_of(put(tiny, "claim.baseline", "longer") | {"trials": 6}).warnings == ()


def test_what_is_told_decides_nothing(tiny: Fields) -> None:
    design = plan_of(tiny).arms["digits/mlp/l2"].design()
    other = replace(
        design, epochs_planned=None, examples=None, start_flops=(1.0, 2.0, 3.0), sampler_options={}
    )
    assert design.asked() == other.asked()
