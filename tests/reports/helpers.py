"""Arms without a table."""

from typing import Any

import numpy as np
import pandas as pd

from reports.arms.arm import Arm


def arm_of(
    validation: np.ndarray,
    test: np.ndarray | None = None,
    *,
    method: str = "new",
    sampling: str = "iid",
    search: np.ndarray | None = None,
    position: np.ndarray | None = None,
    **costs: Any,
) -> Arm:
    """An arm from scores; keyword arguments are costs by unit."""
    size = validation.size
    return Arm(
        dataset="digits",
        architecture="mlp",
        method=method,
        sampling=sampling,
        sampler="",
        validation=validation,
        test=validation if test is None else test,
        status=np.full(size, "ok"),
        failed_score=0.0,
        costs={"trials": np.ones(size), **costs},
        filled={},
        withheld={},
        sizes={},
        search=search,
        pair=None,
        position=None if position is None else position.astype(float),
        parameters={},
        lost=0,
        facts=pd.DataFrame(index=range(size)),
    )
