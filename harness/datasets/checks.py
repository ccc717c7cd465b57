"""What must hold of any data set before a model is trained on it."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError, Target
from harness.datasets.sources.base import RawData, RawPart

#: Values looked at in one go, so that a check of a large array needs little memory.
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class CheckedPart:
    """x: uint8 or float32 [examples, *example_shape].

    y: [examples, *target_shape], classes as int64, 0 to outputs - 1, or numbers as float32.
    """

    x: NDArray[Any]
    y: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class CheckedData:
    """Parts of the same shapes. outputs: the largest training label + 1, or numbers a target has."""

    train: CheckedPart
    test: CheckedPart
    outputs: int
    target: Target


def check(raw: RawData) -> CheckedData:
    """Check a decoded data set and bring it to the types the house works with.

    Raises:
        DataError: at the first thing wrong, in one sentence: file and field, what was found, what is allowed.
    """
    for part in (raw.train, raw.test):
        _check_examples(part)
        _check_targets(part, raw.target)
    if raw.test.x.shape[1:] != raw.train.x.shape[1:]:
        raise DataError(
            f"{raw.test.x_field}: examples of shape {raw.test.x.shape[1:]} found, "
            f"those of the training set have {raw.train.x.shape[1:]}"
        )
    if raw.test.y.shape[1:] != raw.train.y.shape[1:]:
        raise DataError(
            f"{raw.test.y_field}: targets of shape {raw.test.y.shape[1:]} found, "
            f"those of the training set have {raw.train.y.shape[1:]}"
        )
    outputs = _classes(raw) if raw.target == "classes" else prod(raw.train.y.shape[1:])
    train, test = (_converted(part, raw.target) for part in (raw.train, raw.test))
    if raw.target == "numbers" and not (train.y != train.y[0]).any():
        raise DataError(
            f"{raw.train.y_field}: the same target found for all examples of the training set, "
            f"at least two different ones are needed"
        )
    return CheckedData(train, test, outputs, raw.target)


def _check_examples(part: RawPart) -> None:
    x = part.x
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{part.x_field}: values of type {x.dtype} found, uint8 or floating point is allowed")
    if x.ndim < 2:
        raise DataError(
            f"{part.x_field}: an array of shape {x.shape} found, "
            f"examples first and at least one axis of values is needed"
        )


def _check_targets(part: RawPart, target: Target) -> None:
    x, y = part.x, part.y
    if target == "classes":
        a_position = (len(y), *x.shape[2:]) if y.ndim else ()
        if y.ndim != 1 and (x.ndim < 3 or y.shape != a_position):
            also = f", or {a_position}: one a pixel" if y.ndim and x.ndim > 2 else ""
            raise DataError(f"{part.y_field}: labels of shape {y.shape} found, one axis is allowed{also}")
        if not np.issubdtype(y.dtype, np.integer):
            raise DataError(f"{part.y_field}: labels of type {y.dtype} found, whole numbers are allowed")
    elif not (np.issubdtype(y.dtype, np.integer) or np.issubdtype(y.dtype, np.floating)):
        raise DataError(f"{part.y_field}: targets of type {y.dtype} found, numbers are allowed")
    elif y.ndim == 0 or 0 in y.shape[1:]:
        raise DataError(f"{part.y_field}: targets of shape {y.shape} found, examples first is needed")
    if x.size == 0:
        raise DataError(f"{part.x_field}: no values found (shape {x.shape}), at least one example is needed")
    if len(x) != len(y):
        named = "labels" if target == "classes" else "targets"
        raise DataError(f"{part.y_field}: {len(y)} {named} found for {len(x)} examples, one each is needed")


def _classes(raw: RawData) -> int:
    """How many classes the training labels name, once all labels are known to lie among them."""
    if raw.classes is not None:
        _check_labels(raw.train, raw.classes, "")
    else:
        # More classes than examples: ids or measured values rather than labels, or a damaged file.
        what = "training examples" if raw.train.y.ndim == 1 else "labels"
        _check_labels(raw.train, raw.train.y.size, f" (fewer classes than {what})")
    largest = int(raw.train.y.max())
    if raw.train.y.min() == largest:
        raise DataError(
            f"{raw.train.y_field}: only the label {largest} found in the training set, "
            f"at least two classes are needed"
        )
    _check_labels(raw.test, largest + 1, " (the labels of the training set)")
    return largest + 1


def _check_labels(part: RawPart, limit: int, why: str) -> None:
    bad = np.flatnonzero((part.y < 0) | (part.y >= limit))
    if len(bad):
        place = np.unravel_index(bad[0], part.y.shape)
        at = place[0] if part.y.ndim == 1 else tuple(int(index) for index in place)
        raise DataError(
            f"{part.y_field}: label {part.y[place]} found at position {at}, "
            f"labels from 0 to {limit - 1} are allowed{why}"
        )


def _converted(part: RawPart, target: Target) -> CheckedPart:
    x = np.ascontiguousarray(part.x) if part.x.dtype == np.uint8 else _finite(part.x, part.x_field)
    if target == "numbers":
        return CheckedPart(x, _finite(part.y, part.y_field))
    return CheckedPart(x, np.ascontiguousarray(part.y, dtype=np.int64))


def _finite(values: NDArray[Any], field: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is reported as such
        single = np.ascontiguousarray(values, dtype=np.float32)
    step = max(1, _CHUNK // single[0].size)
    for start in range(0, len(single), step):
        finite = np.isfinite(single[start : start + step])
        if not finite.all():
            where = np.argwhere(~finite)[0]
            where[0] += start
            place = tuple(int(index) for index in where)
            raise DataError(
                f"{field}: {values[place]} found at {place}, finite numbers of 32 bits are allowed"
            )
    return single
