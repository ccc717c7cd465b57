"""Quickstart after installation: at most 60 s on 2 cores, every arm's median validation accuracy >= .90."""

import tempfile
from pathlib import Path

from harness.results.tabulate import read_run
from tests.benchmarks.timing import harness_command, machine, seconds_of

CORES, LIMIT_SECONDS, LEAST_MEDIAN = 2, 60.0, 0.90


def main() -> bool:
    """Print the figures; whether they reach their bars."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        seconds, _ = seconds_of(harness_command("run", "quickstart", "--out", str(out)), CORES)
        table, _, _ = read_run(out)
    medians = table.groupby("method")["val_score"].median()
    print(machine())
    print(f"quickstart on {CORES} cores: {seconds:.1f} s (at most {LIMIT_SECONDS:.0f}), {len(table)} trials")
    for method, median in medians.items():
        print(f"median validation accuracy, {method}: {median:.4f} (at least {LEAST_MEDIAN:.2f})")
    return seconds <= LIMIT_SECONDS and bool((medians >= LEAST_MEDIAN).all()) and len(table) == 60
