"""Counts of records by arm: what is done, what failed, the best so far."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.records.record import Record


@dataclass(slots=True)
class Tally:
    """Arm -> trials that are done, of them the failed ones, and the best validation score.

    A trial that was stopped by a pruner is done, and has not failed. Repeats are done, and never the best:
    a search trains each point once.
    """

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    best: dict[str, float] = field(default_factory=dict)
    higher_is_better: bool = True

    @classmethod
    def of(cls, records: Iterable[Record], higher_is_better: bool = True) -> "Tally":
        """The tally of some records."""
        tally = cls(higher_is_better=higher_is_better)
        for record in records:
            tally.count(record)
        return tally

    def count(self, record: Record) -> None:
        """Count one more."""
        self.done[record.arm] += 1
        self.failed[record.arm] += record.has_failed
        if record.val_score is not None and not record.repeat:
            better = max if self.higher_is_better else min
            self.best[record.arm] = better(record.val_score, self.best.get(record.arm, record.val_score))
