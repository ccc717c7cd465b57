"""Bar 19: what a report of a large table takes."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from reports.settings import Settings
from reports.write import write_report
from tests.calibration.rows import Row
from tests.calibration.worlds import D1


def large_table(datasets: int, methods: int, trials: int, seed: int) -> pd.DataFrame:
    """A table with costs, sizes and three searched values."""
    generator = np.random.default_rng([seed, 19])
    arms = []
    for dataset in range(datasets):
        for method in range(methods):
            validation, test = D1.draw(1, trials, generator)
            names = {"dataset": f"data {dataset}", "architecture": "mlp", "method": f"method {method}"}
            columns = {
                "val_accuracy": validation[0],
                "test_accuracy": test[0],
                "train_seconds": generator.gamma(3.0, 1.0, trials),
                "parameters": generator.integers(1_000, 100_000, trials),
                **{f"param_{name}": generator.random(trials) for name in ("rate", "decay", "units")},
            }
            arms.append(pd.DataFrame(columns).assign(sampling="iid", **names))
    return pd.concat(arms, ignore_index=True)


def seconds(datasets: int, methods: int, trials: int, seed: int) -> Row:
    """CPU seconds of the whole report, figures included."""
    table = large_table(datasets, methods, trials, seed)
    with TemporaryDirectory() as folder:
        started = time.process_time()
        write_report(table, Path(folder) / "report", settings=Settings(baseline="method 0"))
        spent = time.process_time() - started
    name = f"CPU seconds of a report of {len(table):,} rows, {datasets} data sets, {methods} methods"
    return Row("19", name, spent, None, 60.0)
