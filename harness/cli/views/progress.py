"""What a user sees while something runs: a live table in a terminal, plain lines elsewhere."""

import time
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from harness.cli.terminal import say
from harness.design import score_text
from harness.records.record import Record
from harness.records.tally import Tally
from harness.watching import Work

#: Without a terminal: at most one line of progress in so many seconds; failures are told at once.
LINE_SECONDS = 10.0


class TerminalWatcher:
    """The `Watcher` of the command line."""

    def __init__(self, console: Console):
        self.console = console
        self.shown: Live | Status | None = None
        self.work: Work | None = None

    def say(self, sentence: str) -> None:
        """See `Watcher.say`."""
        say(self.console, sentence)

    def begin(self, work: Work, workers: int) -> None:
        """See `Watcher.begin`."""
        self.work, self.workers = work, workers
        self.tally = Tally.of(work.records.values(), work.higher_is_better)
        self.started = self.last_line = time.monotonic()
        if self.console.is_terminal:
            self.shown = Live(get_renderable=self._table, console=self.console, refresh_per_second=4)
            self.shown.start()
        else:
            self.console.print(self._line())

    def recorded(self, record: Record) -> None:
        """See `Watcher.recorded`."""
        self.tally.count(record)
        if record.status != "ok":
            self.console.print(Text(f"{record.arm} trial {record.index}: {record.status}: {record.message}"))
        for note in record.notes:
            say(self.console, f"{record.arm} trial {record.index} {note}")
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line >= LINE_SECONDS:
            self.last_line = now
            self.console.print(self._line())

    def trained(self, epoch: int, epochs: int) -> None:
        """See `Watcher.trained`; shown in a terminal only."""
        if self.shown is None:
            self.shown = self.console.status("training again ...")
            self.shown.start()
        if isinstance(self.shown, Status):
            self.shown.update(f"training again: epoch {epoch} of {epochs}")

    def end(self) -> None:
        """See `Watcher.end`."""
        if self.shown is not None:
            self.shown.stop()
            self.shown = None
        elif self.work is not None:
            self.console.print(self._line())

    def _time_left(self) -> str:
        assert self.work is not None
        seconds = self.work.expected_seconds()
        if seconds is None:
            return "unknown"
        return str(timedelta(seconds=round(seconds / self.workers)))

    def _line(self) -> Text:
        assert self.work is not None
        total, failed = self.tally.done.total(), self.tally.failed.total()
        return Text(
            f"{total} of {sum(self.work.planned.values())} trials done, {failed} failed; "
            f"{timedelta(seconds=round(time.monotonic() - self.started))} gone, {self._time_left()} left"
        )

    def _table(self) -> Group:
        assert self.work is not None
        table = Table(box=None, pad_edge=False)
        table.add_column("arm")
        for heading in ("done", "failed", "running", "planned", "best validation score"):
            table.add_column(heading, justify="right")
        for key, planned in self.work.planned.items():
            best = self.tally.best.get(key)
            table.add_row(
                Text(key),
                str(self.tally.done[key]),
                str(self.tally.failed[key]),
                str(self.work.running.get(key, 0)),
                str(planned),
                "" if best is None else score_text(best),
            )
        return Group(table, self._line())
