"""What `harness extract` says as it goes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.extraction.summary import EXTRACTED, START, Summary
from harness.records.record import Epoch, Record


@dataclass(frozen=True, slots=True)
class ExtractionView:
    """Plain lines; in a terminal also a line that counts the epochs."""

    console: Console

    def chosen(self, record: Record) -> None:
        """Say which trial is meant."""
        self._say(
            f"Trial {record.trial_id} of {record.arm}: epoch {record.selected_epoch} of "
            f"{len(record.epochs)}, validation score {record.val_score:.4f}, "
            f"test score {record.test_score:.4f}"
        )

    @contextmanager
    def training(self, record: Record) -> Iterator[Callable[[Epoch], None]]:
        """Show how far the training is while the block lasts."""
        with self.console.status("training again ...") as status:

            def on_epoch(epoch: Epoch) -> None:
                status.update(f"training again: epoch {epoch.epoch} of {record.selected_epoch}")

            yield on_epoch

    def done(self, summary: Summary, folder: Path) -> None:
        """Say how the network compares with its record and with its start, and where it lies."""
        self._say(summary.retrained.verdict())
        table = Table(box=None, pad_edge=False)
        table.add_column("")
        for heading in (START, EXTRACTED, "ratio"):
            table.add_column(heading, justify="right")
        for row in (*_size_rows(summary), *_speed_rows(summary)):
            table.add_row(*row)
        self.console.print(table)
        for file, reason in summary.failed_exports.items():
            self._say(f"{file} could NOT be written: {reason}")
        self._say(
            f"Times: median of {min(speed.repeats for speed in summary.speeds)} repeats or more, "
            f"{summary.speeds[0].threads} thread(s)."
        )
        self._say(f"Network: {folder}")

    def _say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)


def _size_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    start, extracted = summary.start, summary.extracted
    for layer, units in extracted.units.items():
        yield _row(f"units of {layer}", start.units[layer], units, ",")
    yield _row("parameters", start.parameters, extracted.parameters, ",")
    yield _row("multiply-accumulates", start.macs, extracted.macs, ",")


def _speed_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    by_name = {(speed.network, speed.device, speed.batch_size): speed for speed in summary.speeds}
    for (network, device, batch_size), start in by_name.items():
        if network == START:
            extracted = by_name[EXTRACTED, device, batch_size]
            where = f"batch {batch_size} on {device}"
            yield _row(f"{where}: ms", start.latency_ms, extracted.latency_ms, ".3f")
            yield _row(f"{where}: examples/s", start.throughput, extracted.throughput, ",.0f")


def _row(name: str, start: float, extracted: float, form: str) -> tuple[str, ...]:
    return name, format(start, form), format(extracted, form), f"{extracted / start:.3f}"
