"""Time and memory of the analysis alone: six cells of four methods, and a hundred thousand trials."""

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection

import numpy as np
import pandas as pd

from reports.analysis import analyse
from reports.settings import Settings
from reports.table.checks import check_table

#: Trials an arm, most seconds, most gigabytes; cells x methods is 6 x 4.
BARS = ((50, 10.0, 1.5), (4_167, 60.0, 1.5))


def trial_table(trials: int, cells: int = 6, methods: int = 4) -> pd.DataFrame:
    """A table with costs, sizes, searched values and failures."""
    generator = np.random.default_rng(0)
    arms = []
    for cell in range(cells):
        for method in range(methods):
            scores = 0.9 + 0.085 * generator.beta(5 + method, 1.5, trials)
            scores[generator.random(trials) < 0.05] = np.nan
            columns = {
                "dataset": f"data {cell // 2}",
                "architecture": f"family {cell % 2}",
                "method": f"method {method}",
                "val_accuracy": scores,
                "test_accuracy": scores - 0.001,
                "status": np.where(np.isnan(scores), "diverged", "ok"),
                "sampling": "iid",
                "index": np.arange(trials),
                "parameters": generator.integers(1_000, 1_000_000, trials),
                "train_seconds": generator.gamma(3.0, 10.0, trials),
                "train_flops": generator.gamma(3.0, 1e12, trials),
                "n_test": 10_000,
                "param_units_1": generator.integers(8, 1_024, trials),
                "param_units_2": generator.integers(8, 1_024, trials),
            }
            arms.append(pd.DataFrame(columns))
    return pd.concat(arms, ignore_index=True)


def _measure(trials: int, sender: Connection) -> None:
    settings = Settings(baseline="method 0")
    table = check_table(trial_table(trials), settings=settings)
    started = time.perf_counter()
    analyse(table, None, settings)
    seconds = time.perf_counter() - started
    sender.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6))


def main() -> bool:
    """Prints what was measured; whether all of it is within its bars."""
    held = True
    context = multiprocessing.get_context("spawn")
    for trials, most_seconds, most_gigabytes in BARS:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_measure, args=(trials, sender))
        process.start()
        seconds, gigabytes = receiver.recv()
        process.join()
        held &= seconds <= most_seconds and gigabytes <= most_gigabytes
        print(
            f"analysis of {24 * trials:,} trials: {seconds:.1f} s (at most {most_seconds:g}), "
            f"{gigabytes:.2f} GB (at most {most_gigabytes:g})"
        )
    return held
