"""`training.resize`: what networks are planned for, ids, refusals."""

from typing import Any

import pytest

from harness.datasets import DatasetFacts, DatasetSpec
from harness.study.parts import StudyError
from harness.study.plan import Plan
from tests.making import plan_of, put

Fields = dict[str, Any]


def ids_of(plan: Plan) -> list[str]:
    return [trial.id for trials in plan.frozen.values() for trial in trials]


def with_resize(tiny: Fields, size: int | None) -> Fields:
    return put(tiny, "training.resize", size)


def test_networks_are_planned_for_resized_images_and_their_trials_are_others(tiny: Fields) -> None:
    plain = ids_of(plan_of(tiny))
    large = plan_of(with_resize(tiny, 20))
    assert {large.cell(arm, {}).example_shape for arm in large.arms.values()} == {(1, 20, 20)}
    assert not set(ids_of(large)) & set(plain)
    assert large.facts["digits"].fingerprint == "f"


def test_who_resizes_nothing_has_the_trials_of_old(tiny: Fields) -> None:
    plain = ids_of(plan_of(tiny))
    assert ids_of(plan_of(with_resize(tiny, None))) == plain


def test_a_network_too_small_for_the_images_fits_them_when_they_are_larger(tiny: Fields) -> None:
    widths = {"low": 2, "high": 4}
    lenet = put(tiny, "architectures", [{"name": "lenet5", "widths": widths}])
    with pytest.raises(StudyError):
        plan_of(lenet)
    plan_of(with_resize(lenet, 16))


def test_what_is_no_image_is_not_resized(tiny: Fields) -> None:
    def flat(spec: DatasetSpec) -> DatasetFacts:
        return DatasetFacts(spec.name, (64,), 10, 1438, 359, "f")

    with pytest.raises(StudyError) as raised:
        plan_of(with_resize(tiny, 8), flat)
    assert str(raised.value) == (
        "study.yaml: training.resize: examples with channels, height and width are needed, those of "
        "'digits' have the shape 64"
    )
