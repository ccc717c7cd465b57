"""What is measured at the end of an interval of training: methods may look at it."""

from dataclasses import asdict, dataclass
from typing import Any

from harness.sizing.ledger.size import Size


@dataclass(frozen=True, slots=True)
class Epoch:
    """One measured interval. Losses are means over examples, without the method's penalty; None: not finite,
    or, of the training loss, that no step was made.

    epoch: from 1. val_score: by the study's objective, on the validation part. size: at the end of the
    interval, after edits. train_flops, train_seconds: of the trial up to here. step: how many
    steps that were. phase_index: of the phase, from 0. None in old records.
    """

    epoch: int
    phase: str
    train_loss: float | None
    val_loss: float | None
    val_score: float | None
    size: Size
    train_flops: int | None = None
    train_seconds: float | None = None
    step: int | None = None
    phase_index: int | None = None

    def outcome(self) -> dict[str, Any]:
        """What the interval gave, without the seconds, which differ between runs of the same plan."""
        fields = asdict(self)
        del fields["train_seconds"]
        return fields
