"""Time, memory and size of whole reports, from a CSV file to a page, up to a hundred thousand trials."""

import multiprocessing
import resource
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tests.benchmarks.bench_analysis import trial_table
from tests.benchmarks.timing import machine

#: Cells, methods, trials an arm; most seconds (imports included), most gigabytes, most megabytes of the page.
BARS = (
    (1, 3, 20, 5.0, 1.0, 2.0),
    (6, 4, 50, 20.0, 2.0, 10.0),
    (6, 4, 4_167, 120.0, 2.0, 10.0),
)


def _measure(path: Path, out: Path, sender: Connection) -> None:
    started = time.perf_counter()
    from reports.settings import Settings
    from reports.table.joining import load_tables
    from reports.write import write_report

    settings = Settings(baseline="method 0")
    page = write_report(load_tables([path]).trials, out, settings=settings)
    seconds = time.perf_counter() - started
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sender.send((seconds, gigabytes, page.stat().st_size / 1e6))


def main() -> bool:
    """Prints what was measured; whether all of it is within its bars."""
    print(machine())
    held = True
    context = multiprocessing.get_context("spawn")
    for cells, methods, trials, most_seconds, most_gigabytes, most_megabytes in BARS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trials.csv"
            trial_table(trials, cells, methods).to_csv(path, index=False)
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_measure, args=(path, Path(folder) / "report", sender))
            process.start()
            sender.close()
            seconds, gigabytes, megabytes = receiver.recv()
            process.join()
        held &= seconds <= most_seconds and gigabytes <= most_gigabytes and megabytes <= most_megabytes
        print(
            f"report of {cells * methods * trials:,} trials: {seconds:.1f} s (at most {most_seconds:g}), "
            f"{gigabytes:.2f} GB (at most {most_gigabytes:g}), page of {megabytes:.1f} MB (at most "
            f"{most_megabytes:g})"
        )
    return held
