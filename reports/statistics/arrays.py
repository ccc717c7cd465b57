"""The arrays that formulas take, and when a number of theirs is zero."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Sums over N numbers are off by some N times 1e-16 of their size: what is smaller than this share is zero.
ROUNDING = 1e-10


def settled(values: npt.ArrayLike, scale: npt.ArrayLike) -> Any:
    """`values`, zero where they are zero but for rounding: the one rule of all differences and errors.

    Without it two arms that always score 1 differ by 1e-16 with a standard error of 1e-17, which is "clear".

    Args:
        values: differences or standard errors, any shape.
        scale: size of the numbers that were subtracted or averaged, broadcastable.

    Returns:
        Shape of `values`.
    """
    found = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(found) <= ROUNDING * np.asarray(scale), 0.0, found)
