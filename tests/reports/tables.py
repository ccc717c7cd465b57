"""Hand-built trial tables with known answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.design import ArmDesign, Claim, StudyDesign
from reports.analysis import analyse
from reports.results.contrast import Contrast
from reports.results.results import Results, to_json_able
from reports.settings import Settings
from reports.table.checks import check_table


def arm(
    method: str,
    scores: Sequence[float] | np.ndarray,
    *,
    test: Sequence[float] | np.ndarray | None = None,
    dataset: str = "digits",
    architecture: str = "mlp",
    sampling: str = "iid",
    **columns: Any,
) -> pd.DataFrame:
    """One arm; NaN scores are diverged trials. Test scores equal the validation scores unless given."""
    validation = np.asarray(scores, dtype=float)
    return pd.DataFrame(
        {
            "dataset": dataset,
            "architecture": architecture,
            "method": method,
            "val_accuracy": validation,
            "test_accuracy": validation if test is None else np.asarray(test, dtype=float),
            "status": np.where(np.isnan(validation), "diverged", "ok"),
            "sampling": sampling,
            **columns,
        }
    )


def table(*arms: pd.DataFrame) -> pd.DataFrame:
    """Arms as one table."""
    return pd.concat(arms, ignore_index=True)


def judged(frame: pd.DataFrame, design: StudyDesign | None = None, **settings: Any) -> Results:
    """Checks and analyses; fails if any number is NaN or infinite."""
    chosen = Settings(**{"baseline": "base", "permutations": 199, "resamples": 100, **settings})
    results = analyse(check_table(frame, settings=chosen), design, chosen)
    to_json_able(results)
    return results


def only(results: Results) -> Contrast:
    """The one contrast of a table of two arms in one cell."""
    (contrast,) = results.cells[0].contrasts
    return contrast


def designed(frame: pd.DataFrame, **changes: Any) -> StudyDesign:
    """A design that fits a table, with the claim's fields or the study's changed."""
    claim = Claim("base", changes.pop("n", 2), changes.pop("cost", "trials"), changes.pop("margin", 0.0))
    counts = frame.groupby(["dataset", "architecture", "method"]).size()
    planned = changes.pop("trials", None)
    arms: list[ArmDesign] = []
    for key, count in counts.items():
        dataset, architecture, method = map(str, key if isinstance(key, tuple) else (key,))
        trials = planned or int(count)
        arms.append(ArmDesign(dataset, architecture, method, "RandomSampler", "iid", trials, 5, {}, {}))
    chosen = changes.pop("arms", tuple(arms))
    return StudyDesign("study", "", chosen, claim, changes.pop("paired", False), **changes)
