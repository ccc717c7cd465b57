"""`train_examples`: a slice of the training part, alike for every class; the test part is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import DatasetSpec, prepare
from harness.datasets.preparation import decoded
from tests.datasets.kinds import Arrays, Refusal, WriteNpz

DIGITS = DatasetSpec("digits", "digits")


@pytest.mark.parametrize("count", [1438, 700, 101])
def test_a_slice_has_its_length_and_the_classes_of_the_whole(cache: Path, count: int) -> None:
    whole = decoded(DIGITS, None, cache)
    cut = decoded(replace(DIGITS, settings={"train_examples": count}), None, cache)
    y, x = cut.array("y_train"), cut.array("x_train")
    assert len(y) == len(x) == count
    wanted = np.bincount(whole.array("y_train")) * count / 1438
    assert (np.abs(np.bincount(y) - wanted) <= 1).all()
    examples = {image.tobytes() for image in whole.array("x_train")}
    assert all(image.tobytes() in examples for image in x)
    for part in ("x_test", "y_test"):
        np.testing.assert_array_equal(cut.array(part), whole.array(part))


def test_a_slice_is_another_data_set_and_the_whole_is_none(cache: Path) -> None:
    whole, half, same = (
        prepare(replace(DIGITS, settings=said), None, cache)
        for said in ({}, {"train_examples": 700}, {"train_examples": 1438})
    )
    assert whole.fingerprint == same.fingerprint != half.fingerprint


def test_examples_and_targets_stay_together(
    write_npz: WriteNpz, arrays: Arrays, cache: Path, tmp_path: Path
) -> None:
    marked = arrays | {"x_train": np.arange(40, dtype=np.float32)[:, None].repeat(2, 1)}
    marked |= {"x_test": np.zeros((10, 2), np.float32), "y_train": np.arange(40) + 0.5}
    marked |= {"y_test": np.arange(10) + 0.5}
    spec = write_npz(marked)
    cut = decoded(replace(spec, settings={**spec.settings, "train_examples": 13}), tmp_path, cache)
    np.testing.assert_array_equal(cut.array("x_train")[:, 0] + 0.5, cut.array("y_train"))
    assert len(cut.array("y_train")) == 13


@pytest.mark.parametrize(("count", "said"), [(1439, "there are 1438"), (9, "leaves none of class")])
def test_what_cannot_be_taken_is_refused(refusal: Refusal, count: int, said: str) -> None:
    assert said in refusal(replace(DIGITS, settings={"train_examples": count}), None)
