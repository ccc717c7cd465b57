"""Targets of both kinds: what is handed on, what is refused, and what an answer without learning scores."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.datasets import DataError, DatasetFacts, RawData, RawPart
from harness.datasets.base import Target
from harness.datasets.checks import check
from harness.datasets.constant import constant_scores

X = np.arange(4 * 3 * 2 * 2, dtype=np.float32).reshape(4, 3, 2, 2)


def _raw(y: Any, y_test: Any = None, target: Target = "numbers") -> RawData:
    test = np.asarray(y if y_test is None else y_test)
    return RawData(
        RawPart(X, np.asarray(y), "x", "y"), RawPart(X[: len(test)], test, "x", "y_test"), target=target
    )


def test_numbers_are_handed_on_in_single_precision_and_their_own_units() -> None:
    column = check(_raw([1, 5, 9, 7]))
    assert (column.outputs, column.train.y.dtype.name, column.train.y.tolist()) == (
        1,
        "float32",
        [1, 5, 9, 7],
    )
    several = check(_raw(np.arange(24.0).reshape(4, 2, 3)))
    assert (several.outputs, several.train.y.shape, several.target) == (6, (4, 2, 3), "numbers")


def test_a_class_for_each_pixel_is_allowed() -> None:
    data = check(_raw(np.arange(16).reshape(4, 2, 2) % 5, target="classes"))
    assert (data.outputs, data.train.y.shape, data.train.y.dtype.name) == (5, (4, 2, 2), "int64")


@pytest.mark.parametrize(
    ("y", "y_test", "sentence"),
    [
        ([0.5, np.nan, 0, 1], None, "y: nan found at (1,), finite numbers of 32 bits are allowed"),
        ([1, 2, 3, 4], [1e300], "y_test: 1e+300 found at (0,), finite numbers of 32 bits are allowed"),
        (list("abcd"), None, "y: targets of type <U1 found, numbers are allowed"),
        ([2.5] * 4, None, "y: the same target found for all examples of the training set, at least"),
        ([1, 2, 3], None, "y: 3 targets found for 4 examples, one each is needed"),
        ([1, 2, 3, 4], [[1, 2]], "y_test: targets of shape (2,) found, those of the training set have ()"),
        (np.zeros((4, 0)), None, "y: targets of shape (4, 0) found"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bad_numbers(y: Any, y_test: Any, sentence: str) -> None:
    with pytest.raises(DataError) as raised:
        check(_raw(y, y_test))
    assert str(raised.value).startswith(sentence)


def test_a_bad_label_among_pixels_is_named_by_its_place() -> None:
    labels = np.arange(16).reshape(4, 2, 2) % 3
    labels[2, 0, 1] = -1
    with pytest.raises(DataError, match=r"y: label -1 found at position \(2, 0, 1\)"):
        check(_raw(labels, target="classes"))


def test_what_a_constant_answer_scores() -> None:
    classes = constant_scores(np.array([0, 1]), np.array([0, 1, 1, 2]), "classes")
    assert classes == {"accuracy": 0.5, "top5_accuracy": 1.0}
    # From the mean of the training part, 2: distances 1, -1, 2 and 0.
    assert constant_scores(np.array([1.0, 3]), np.array([3.0, 1, 4, 2]), "numbers") == {"mse": 1.5, "r2": 0}
    flags = constant_scores(np.array([[0.0, 1]] * 2), np.array([[0.0, 1], [0, 0], [1, 0], [0, 0]]), "numbers")
    assert flags["binary_accuracy"] == 0.75


def test_facts_gain_fields_without_a_change_of_identity() -> None:
    facts = DatasetFacts("digits", (1, 8, 8), 10, 1438, 359, "f")
    assert list(facts.identity()) == [
        "name", "example_shape", "outputs", "train_examples", "test_examples", "fingerprint",
    ]  # fmt: skip
    told = replace(facts, constant_scores={"accuracy": 0.1})
    assert told == facts
    assert told.identity() == facts.identity()
    assert replace(facts, target="numbers").identity()["target"] == "numbers"
    assert replace(facts, target_shape=(8, 8)).identity()["target_shape"] == (8, 8)
