"""`training.augmentation` in a study: what is refused, and what it does to trials' ids."""

from typing import Any

import pytest
from pydantic import ValidationError

from harness.datasets.augmentation import Augmentation, Crop, Cutout, Flip, Mixup
from harness.study.making import make_augmentation
from harness.study.parts import StudyError
from harness.study.plan import Plan
from harness.study.schema import Study
from tests.making import plan_of, put

Fields = dict[str, Any]
PLACE = "training.augmentation"


def ids_of(plan: Plan) -> list[str]:
    return [trial.id for trials in plan.frozen.values() for trial in trials]


def test_operations_come_in_one_order_whatever_the_order_written(tiny: Fields) -> None:
    written = {"mixup": {"alpha": 0.2}, "cutout": {"size": 3}, "flip": True, "random_crop": {"padding": 2}}
    study = Study.model_validate(put(tiny, PLACE, written))
    expected = Augmentation((Crop(2), Flip(), Cutout(3), Mixup(0.2)))
    assert make_augmentation(study.training.augmentation) == expected


@pytest.mark.parametrize(
    ("written", "place", "message"),
    [
        ({"flipp": True}, ("flipp",), "Extra inputs are not permitted"),
        ({"random_crop": {"padding": 0}}, ("random_crop", "padding"), "greater than or equal to 1"),
        ({"random_crop": {"pad": 2}}, ("random_crop", "padding"), "Field required"),
        ({"cutout": {"size": -1}}, ("cutout", "size"), "greater than or equal to 1"),
        ({"mixup": {"alpha": 0}}, ("mixup", "alpha"), "greater than 0"),
        ({"mixup": {"alpha": float("inf")}}, ("mixup", "alpha"), "finite number"),
    ],
)
def test_what_no_data_could_suit_is_refused_when_read(
    written: Fields, place: tuple[str, ...], message: str, tiny: Fields
) -> None:
    with pytest.raises(ValidationError) as raised:
        Study.model_validate(put(tiny, PLACE, written))
    first = raised.value.errors()[0]
    assert first["loc"] == ("training", "augmentation", *place)
    assert message in first["msg"]


def test_what_the_data_do_not_suit_is_refused_when_planned(tiny: Fields) -> None:
    with pytest.raises(StudyError) as raised:
        plan_of(put(tiny, PLACE, {"random_crop": {"padding": 8}}))
    assert str(raised.value) == (
        "study.yaml: training.augmentation: random_crop: a padding below 8 is needed, the smaller side of "
        "the examples of 'digits' (8x8), found 8"
    )


def test_only_a_study_that_asks_for_it_has_other_trials(tiny: Fields) -> None:
    plain = ids_of(plan_of(tiny))
    assert ids_of(plan_of(put(tiny, PLACE, {}))) == plain
    assert ids_of(plan_of(put(tiny, PLACE, {"flip": False, "cutout": None}))) == plain
    flipped = ids_of(plan_of(put(tiny, PLACE, {"flip": True})))
    assert not set(flipped) & set(plain)
    assert not set(ids_of(plan_of(put(tiny, PLACE, {"mixup": {"alpha": 1}})))) & {*plain, *flipped}
