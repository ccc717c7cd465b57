"""A test part for data that come in one piece: drawn once, by a seed that the study declares."""

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError
from harness.datasets.sources.base import RawPart

Indices = NDArray[np.intp]


def parted(
    name: str, examples: int, fraction: float, seed: int, labels: NDArray[np.int64] | None = None
) -> tuple[Indices, Indices]:
    """Which examples are for training and which for testing, each in ascending order.

    Of every class the same share is taken, give or take one example.

    Args:
        name: the data set's, for messages.
        fraction: of the examples, for testing; above 0 and below 1.
        labels: classes of the examples; None if targets are numbers.

    Raises:
        DataError: if one of the parts, or a class's part for training, would be empty.
    """
    train, test = share(examples, fraction, seed, labels)
    said = f"data set {name!r}, field 'test_fraction': {fraction:g} found, which of {examples} examples"
    if not len(train) or not len(test):
        raise DataError(f"{said} leaves none for {'training' if len(test) else 'testing'}")
    if labels is not None and len(gone := np.setdiff1d(labels[test], labels[train])):
        raise DataError(f"{said} leaves none of class {gone[0]} for training: it has too few")
    return train, test


def share(
    examples: int, fraction: float, seed: int, labels: NDArray[np.int64] | None = None
) -> tuple[Indices, Indices]:
    """A share of the examples drawn by a seed: those that are left, and those that were drawn.

    Both in ascending order; of every class the same share is drawn, give or take one example.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(examples)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    steps = np.floor(np.arange(examples + 1) * fraction + 0.5)
    chosen = np.diff(steps) > 0
    return np.sort(order[~chosen]), np.sort(order[chosen])


def taken(part: RawPart, indices: Indices) -> RawPart:
    """These examples of a part."""
    return RawPart(part.x[indices], part.y[indices], part.x_field, part.y_field)
