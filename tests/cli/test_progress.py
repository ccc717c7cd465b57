"""What a user sees while a study runs."""

import io

import pytest
from rich.console import Console

from harness.cli.views import progress
from harness.cli.views.progress import TerminalWatcher
from harness.records.record import Record
from harness.runs.dealing import Dealer
from tests.making import a_record
from tests.runs.dealt import PLAN, record_of


class Seen:
    """A console whose output can be read."""

    def __init__(self, terminal: bool) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, force_terminal=terminal, width=160, color_system=None)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


def take_one(dealer: Dealer) -> Record:
    bundle = dealer.deal(100)
    assert bundle is not None
    assert len(bundle.attempts) == 1
    record = record_of(bundle.attempts[0].trial)
    dealer.take(record)
    return record


def test_plain_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, dealer = Seen(terminal=False), Dealer(PLAN, {}, {})
    shown = TerminalWatcher(seen.console)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    shown.begin(dealer, 2)
    assert seen.lines == ["0 of 24 trials done, 0 failed; 0:00:00 gone, unknown left"]
    shown.recorded(take_one(dealer))
    shown.end()
    assert "\x1b" not in seen.file.getvalue(), "no terminal's codes in a log"
    assert seen.lines[-1].startswith("1 of 24 trials done, ")
    assert seen.lines[-1].endswith(" 0:00:06 left")  # 23 trials of half a second on two workers


def test_lines_do_not_flood_a_log() -> None:
    seen, dealer = Seen(terminal=False), Dealer(PLAN, {}, {})
    shown = TerminalWatcher(seen.console)
    shown.begin(dealer, 1)
    for _ in range(10):
        record = take_one(dealer)
        if record.status == "ok":
            shown.recorded(record)
    shown.end()
    assert len(seen.lines) == 2


def test_failures_are_told_at_once() -> None:
    seen = Seen(terminal=False)
    shown = TerminalWatcher(seen.console)
    shown.begin(Dealer(PLAN, {}, {}), 1)
    shown.recorded(a_record(status="crashed", message="ValueError: [bold]no[/bold]", val_score=None))
    assert seen.lines[1:] == ["digits/mlp/l2 trial 3: crashed: ValueError: [bold]no[/bold]"]


def test_the_table_of_a_terminal() -> None:
    seen, dealer = Seen(terminal=True), Dealer(PLAN, {}, {})
    shown = TerminalWatcher(seen.console)
    shown.begin(dealer, 1)
    records = []
    for _ in range(4):
        records.append(take_one(dealer))
        shown.recorded(records[-1])
    bundle = dealer.deal(100)
    assert bundle is not None
    dealer.running[bundle.arm] += 1
    seen.console.print(shown._table())
    shown.end()
    rows = {line.split()[0]: line.split()[1:] for line in seen.lines if line.startswith("digits/")}
    assert rows.keys() == PLAN.arms.keys()
    for key, arm in PLAN.arms.items():
        mine = [record for record in records if record.arm == key]
        scores = [record.val_score for record in mine if record.val_score is not None]
        failed = sum(record.status != "ok" for record in mine)
        planned = arm.trials * arm.sampler.replicates
        expected = [str(number) for number in (len(mine), failed, dealer.running[key], planned)]
        assert rows[key] == expected + [f"{max(scores):.4f}" for _ in scores[:1]]
    assert sum(int(row[2]) for row in rows.values()) == 1


def test_a_resumed_run_counts_what_was_done() -> None:
    dealer = Dealer(PLAN, {}, {})
    records = {record.trial_id: record for record in (take_one(dealer) for _ in range(5))}
    shown = TerminalWatcher(Seen(terminal=False).console)
    shown.begin(Dealer(PLAN, records, {}), 1)
    assert shown.tally.done.total() == 5
    assert str(shown._line()).startswith("5 of 24 trials done")
