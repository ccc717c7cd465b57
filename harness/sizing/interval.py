"""What is measured at the end of an interval of training: methods may look at it."""

from dataclasses import dataclass

from harness.sizing.ledger.size import Size


@dataclass(frozen=True, slots=True)
class Epoch:
    """One measured interval. Losses are means over examples, without the method's penalty; None: not finite.

    epoch: from 1. val_score: accuracy on the validation part. size: at the end of the interval, after edits.
    """

    epoch: int
    phase: str
    train_loss: float | None
    val_loss: float | None
    val_score: float | None
    size: Size
