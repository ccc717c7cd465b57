"""What `harness extract` says at its end."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from harness.cli.terminal import say
from harness.extraction.extract import Extracted
from harness.extraction.summary import EXTRACTED, START, Summary


def show_extracted(extracted: Extracted, console: Console) -> None:
    """How the network compares with its record and with its start, and where it lies."""
    summary = extracted.summary
    say(console, summary.retrained.verdict())
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in (START, EXTRACTED, "ratio"):
        table.add_column(heading, justify="right")
    for row in (*_size_rows(summary), *_speed_rows(summary)):
        table.add_row(*row)
    console.print(table)
    for file, reason in summary.failed_exports.items():
        say(console, f"{file} could NOT be written: {reason}")
    say(
        console,
        f"Times: median of {min(speed.repeats for speed in summary.speeds)} repeats or more, "
        f"{summary.speeds[0].threads} thread(s).",
    )
    say(console, f"Network: {extracted.folder}")


def _size_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    start, extracted = summary.start, summary.extracted
    for layer, units in extracted.units.items():
        yield _row(f"units of {layer}", start.units[layer], units, ",")
    yield _row("parameters", start.parameters, extracted.parameters, ",")
    yield _row("parameters that are not zero", start.nonzeros, extracted.nonzeros, ",")
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
