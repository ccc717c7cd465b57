"""What is scored by a network that learnt nothing of the examples: it gives all of them the same answer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import Target

#: Answers that count as one in `top5_accuracy`.
_TOP = 5


def constant_scores(y_train: NDArray[Any], y_test: NDArray[Any], target: Target) -> dict[str, float]:
    """Scores on the test part, by name; a score that has no meaning for these targets is not there.

    Of classes: `accuracy`, the share of the most frequent one, and `top5_accuracy`, that of the five most
    frequent. Of numbers: `mse`, the mean squared distance from the mean of the training part (each of several
    outputs from its own), and `r2`, 0. Of numbers that are all 0 or 1 also `binary_accuracy`: the share of
    the more frequent one, a mean over outputs.

    Args:
        y_train, y_test: targets [examples, *target_shape].
    """
    if target == "classes":
        shares = np.sort(np.bincount(y_test.ravel()))[::-1] / y_test.size
        return {"accuracy": float(shares[0]), f"top{_TOP}_accuracy": min(1.0, float(shares[:_TOP].sum()))}
    distances = y_test - y_train.mean(axis=0, dtype=np.float64)
    scores = {"mse": float(np.square(distances).mean()), "r2": 0.0}
    if all(np.isin(y, (0.0, 1.0)).all() for y in (y_train, y_test)):
        ones = y_test.mean(axis=0, dtype=np.float64)
        scores["binary_accuracy"] = float(np.maximum(ones, 1 - ones).mean())
    return scores
