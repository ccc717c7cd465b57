"""What a user sees while a study runs: a live table in a terminal, plain lines elsewhere."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.records.record import Record
from harness.runs.dealing import Dealer

#: Without a terminal: at most one line of progress in so many seconds; failures are told at once.
LINE_SECONDS = 10.0


class Progress:
    """Follows a run by its records."""

    def __init__(self, dealer: Dealer, workers: int, console: Console):
        self.dealer, self.workers, self.console = dealer, workers, console
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.best: dict[str, float] = {}
        self.started = self.last_line = time.monotonic()
        for record in dealer.records.values():
            self._count(record)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress while the block runs."""
        if self.console.is_terminal:
            with Live(get_renderable=self._table, console=self.console, refresh_per_second=4):
                yield
        else:
            self.console.print(self._line())
            yield
            self.console.print(self._line())

    def on_record(self, record: Record) -> None:
        """Take notice of a record."""
        self._count(record)
        if record.status != "ok":
            self.console.print(Text(f"{record.arm} trial {record.index}: {record.status}: {record.message}"))
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line >= LINE_SECONDS:
            self.last_line = now
            self.console.print(self._line())

    def _count(self, record: Record) -> None:
        self.done[record.arm] += 1
        self.failed[record.arm] += record.status != "ok"
        if record.val_score is not None:
            self.best[record.arm] = max(record.val_score, self.best.get(record.arm, record.val_score))

    def _time_left(self) -> str:
        seconds = self.dealer.expected_seconds()
        if seconds is None:
            return "unknown"
        return str(timedelta(seconds=round(seconds / self.workers)))

    def _line(self) -> Text:
        total, failed = sum(self.done.values()), sum(self.failed.values())
        return Text(
            f"{total} of {self.dealer.plan.planned_trials} trials done, {failed} failed; "
            f"{timedelta(seconds=round(time.monotonic() - self.started))} gone, {self._time_left()} left"
        )

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False)
        table.add_column("arm")
        for heading in ("done", "failed", "running", "planned", "best validation score"):
            table.add_column(heading, justify="right")
        for key, arm in self.dealer.plan.arms.items():
            best = self.best.get(key)
            table.add_row(
                Text(key),
                str(self.done[key]),
                str(self.failed[key]),
                str(self.dealer.running[key]),
                str(arm.trials * arm.sampler.replicates),
                "" if best is None else f"{best:.4f}",
            )
        return Group(table, self._line())
