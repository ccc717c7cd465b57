"""What must hold of any data set before a model is trained on it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError
from harness.datasets.sources.base import RawData, RawPart

#: Values looked at in one go, so that a check of a large array needs little memory.
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class CheckedPart:
    """x: uint8 or float32 [examples, *example_shape]; y: int64 [examples], 0 to outputs - 1."""

    x: NDArray[Any]
    y: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CheckedData:
    """Parts of the same example shape, and the number of classes: the largest training label + 1."""

    train: CheckedPart
    test: CheckedPart
    outputs: int


def check(raw: RawData) -> CheckedData:
    """Check a decoded data set and bring it to the types the house works with.

    Raises:
        DataError: at the first thing wrong, in one sentence: file and field, what was found, what is allowed.
    """
    for part in (raw.train, raw.test):
        _check_shapes(part)
    if raw.test.x.shape[1:] != raw.train.x.shape[1:]:
        raise DataError(
            f"{raw.test.x_field}: examples of shape {raw.test.x.shape[1:]} found, "
            f"those of the training set have {raw.train.x.shape[1:]}"
        )
    known = raw.classes is not None
    # More classes than examples: ids or measured values rather than labels, or a damaged file.
    limit = raw.classes if raw.classes is not None else len(raw.train.y)
    _check_labels(raw.train, limit, "" if known else " (fewer classes than training examples)")
    outputs = int(raw.train.y.max()) + 1
    if len(np.unique(raw.train.y)) < 2:
        raise DataError(
            f"{raw.train.y_field}: only the label {outputs - 1} found in the training set, "
            f"at least two classes are needed"
        )
    _check_labels(raw.test, outputs, " (the labels of the training set)")
    return CheckedData(_convert(raw.train), _convert(raw.test), outputs)


def _check_shapes(part: RawPart) -> None:
    x, y = part.x, part.y
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{part.x_field}: values of type {x.dtype} found, uint8 or floating point is allowed")
    if x.ndim < 2:
        raise DataError(
            f"{part.x_field}: an array of shape {x.shape} found, "
            f"examples first and at least one axis of values is needed"
        )
    if y.ndim != 1:
        raise DataError(f"{part.y_field}: labels of shape {y.shape} found, one axis is allowed")
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{part.y_field}: labels of type {y.dtype} found, whole numbers are allowed")
    if x.size == 0:
        raise DataError(f"{part.x_field}: no values found (shape {x.shape}), at least one example is needed")
    if len(x) != len(y):
        raise DataError(f"{part.y_field}: {len(y)} labels found for {len(x)} examples, one each is needed")


def _check_labels(part: RawPart, limit: int, why: str) -> None:
    bad = np.flatnonzero((part.y < 0) | (part.y >= limit))
    if len(bad):
        raise DataError(
            f"{part.y_field}: label {part.y[bad[0]]} found at position {bad[0]}, "
            f"labels from 0 to {limit - 1} are allowed{why}"
        )


def _convert(part: RawPart) -> CheckedPart:
    y = np.ascontiguousarray(part.y, dtype=np.int64)
    if part.x.dtype == np.uint8:
        return CheckedPart(np.ascontiguousarray(part.x), y)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is reported as such
        x = np.ascontiguousarray(part.x, dtype=np.float32)
    step = max(1, _CHUNK // x[0].size)
    for start in range(0, len(x), step):
        finite = np.isfinite(x[start : start + step])
        if not finite.all():
            where = np.argwhere(~finite)[0]
            where[0] += start
            place = tuple(int(index) for index in where)
            raise DataError(
                f"{part.x_field}: {part.x[place]} found at {place}, finite numbers of 32 bits are allowed"
            )
    return CheckedPart(x, y)
