"""Wrong values in a readable file: one sentence on file and field, what was found, what is allowed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.datasets import prepare
from harness.datasets.preparation import decoded
from tests.datasets.kinds import Arrays, Refusal, WriteNpz

#: From sound arrays to bad ones.
Change = Callable[[Arrays], Arrays]


def _set(name: str, index: Any, value: Any, dtype: Any = None) -> Change:
    def change(arrays: Arrays) -> Arrays:
        changed = arrays[name].astype(dtype or arrays[name].dtype)
        changed[index] = value
        return arrays | {name: changed}

    return change


def _put(**new: Any) -> Change:
    return lambda arrays: (
        arrays | {name: make(arrays[name]) if callable(make) else make for name, make in new.items()}
    )


def _drop(name: str) -> Change:
    return lambda arrays: {key: array for key, array in arrays.items() if key != name}


def _no_training(arrays: Arrays) -> Arrays:
    return arrays | {"x_train": arrays["x_train"][:0], "y_train": arrays["y_train"][:0]}


def _nan_in_test(arrays: Arrays) -> Arrays:
    return _set("x_test", (9, 2, 0, 1), np.nan, np.float32)(arrays)


BAD = {
    "negative label": (
        _set("y_train", 3, -1),
        "array 'y_train': label -1 found at position 3, labels from 0 to 39 are allowed "
        "(fewer classes than training examples)",
    ),
    "label beyond the number of examples": (
        _set("y_train", 4, 40),
        "array 'y_train': label 40 found at position 4, labels from 0 to 39 are allowed "
        "(fewer classes than training examples)",
    ),
    "test label that training lacks": (
        _set("y_test", 0, 3),
        "array 'y_test': label 3 found at position 0, labels from 0 to 2 are allowed "
        "(the labels of the training set)",
    ),
    "fractional label": (
        _set("y_test", 0, 0.5, np.float64),
        "array 'y_test': labels of type float64 found, whole numbers are allowed",
    ),
    "huge unsigned label": (
        _set("y_train", 0, 2**64 - 1, np.uint64),
        f"array 'y_train': label {2**64 - 1} found at position 0, labels from 0 to 39 are allowed "
        f"(fewer classes than training examples)",
    ),
    "text labels": (
        _put(y_test=np.array(list("abcdefghij"))),
        "array 'y_test': labels of type <U1 found, whole numbers are allowed",
    ),
    "one class": (
        _put(y_train=np.zeros(40, dtype=int)),
        "array 'y_train': only the label 0 found in the training set, at least two classes are needed",
    ),
    "NaN": (_nan_in_test, "array 'x_test': nan found at (9, 2, 0, 1), finite numbers of 32 bits are allowed"),
    "infinity": (
        _set("x_train", (0, 0, 0, 0), -np.inf, np.float32),
        "array 'x_train': -inf found at (0, 0, 0, 0), finite numbers of 32 bits are allowed",
    ),
    "beyond 32 bits": (
        _set("x_train", (1, 0, 0, 0), 1e300, np.float64),
        "array 'x_train': 1e+300 found at (1, 0, 0, 0), finite numbers of 32 bits are allowed",
    ),
    "fewer labels than examples": (
        _put(y_train=lambda y: y[:-1]),
        "array 'y_train': 39 labels found for 40 examples, one each is needed",
    ),
    "labels with two axes": (
        _put(y_train=lambda y: y[:, None]),
        "array 'y_train': labels of shape (40, 1) found, one axis is allowed, or (40, 5, 6): one a pixel",
    ),
    "examples without values": (
        _put(x_train=np.arange(40.0)),
        "array 'x_train': an array of shape (40,) found, "
        "examples first and at least one axis of values is needed",
    ),
    "other shapes in the test set": (
        _put(x_test=lambda x: x[:, :, :4]),
        "array 'x_test': examples of shape (3, 4, 6) found, those of the training set have (3, 5, 6)",
    ),
    "empty training set": (
        _no_training,
        "array 'x_train': no values found (shape (0, 3, 5, 6)), at least one example is needed",
    ),
    "examples of no size": (
        _put(x_train=lambda x: x[:, :0]),
        "array 'x_train': no values found (shape (40, 0, 5, 6)), at least one example is needed",
    ),
    "whole numbers that are no bytes": (
        _put(x_train=lambda x: x.astype(np.int64)),
        "array 'x_train': values of type int64 found, uint8 or floating point is allowed",
    ),
    "channels that may be first or last": (
        _put(x_train=np.zeros((40, 30, 32, 3), dtype=np.uint8)),
        "array 'x_train': examples of shape (30, 32, 3) found, whose channels may be the 30 or the 3; "
        "`channels: first` or `channels: last` is needed",
    ),
    "missing array": (
        _drop("y_test"),
        "no array 'y_test' found, only x_train, y_train, x_test; x_train, y_train, x_test, y_test are needed",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), BAD.values(), ids=BAD.keys())
@pytest.mark.filterwarnings("error")
def test_bad_arrays(
    change: Change, sentence: str, arrays: Arrays, write_npz: WriteNpz, refusal: Refusal, tmp_path: Path
) -> None:
    assert refusal(write_npz(change(arrays)), tmp_path) == f"small.npz: {sentence}"


def test_the_largest_training_label_decides_and_gaps_are_allowed(
    arrays: Arrays, write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> None:
    labels = np.where(arrays["y_train"] == 2, 6, 0)
    spec = write_npz(arrays | {"y_train": labels, "y_test": np.arange(10) % 7})
    assert prepare(spec, tmp_path, cache).outputs == 7


def test_channels_may_come_last_where_that_is_plain_or_said(
    arrays: Arrays, write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> None:
    square = {
        name: np.arange(40 * 6 * 6 * 3, dtype=np.uint8).reshape(40, 6, 6, 3) for name in ("x_train", "x_test")
    }
    spec = write_npz(arrays | square | {"y_test": arrays["y_train"]})
    np.testing.assert_array_equal(
        decoded(spec, tmp_path, cache).array("x_train"), square["x_train"].transpose(0, 3, 1, 2)
    )
    wide = {name: array.transpose(0, 2, 3, 1) for name, array in arrays.items() if array.ndim == 4}
    said = replace(write_npz(arrays | wide), settings={"channels": "last"})
    np.testing.assert_array_equal(decoded(said, tmp_path, cache).array("x_train"), arrays["x_train"])
    said = replace(write_npz(arrays | wide), settings={"channels": "first"})
    assert prepare(said, tmp_path, cache).example_shape == (5, 6, 3)


def test_what_targets_are_is_told_by_their_type_or_said(
    arrays: Arrays, write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> None:
    spec = write_npz(arrays)
    assert (prepare(spec, tmp_path, cache).target, prepare(spec, tmp_path, cache).outputs) == ("classes", 3)
    said = replace(spec, settings={"kind": "numbers"})
    assert (prepare(said, tmp_path, cache).target, prepare(said, tmp_path, cache).outputs) == ("numbers", 1)
    measured = write_npz(arrays | {name: arrays[name] + 0.5 for name in ("y_train", "y_test")})
    assert prepare(measured, tmp_path, cache).target == "numbers"
