"""How long trials train: intervals and examples, counted from the phases that their methods ask for."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.sizing.base import Phase


@dataclass(frozen=True, slots=True)
class Length:
    """Of a trial that nothing ends early. epochs: measured intervals. examples: trained on, with repeats."""

    epochs: int
    examples: int


def length(phases: Iterable[Phase], batch_size: int, one_pass: int) -> Length:
    """Count as the training loop goes.

    Args:
        one_pass: examples of the training part. Its last batch holds what is left of it.
    """
    batches = math.ceil(one_pass / batch_size)
    epochs = examples = 0
    for phase in phases:
        steps = batches if phase.steps_per_epoch is None else phase.steps_per_epoch
        passes, rest = divmod(steps, batches)
        epochs += phase.epochs
        examples += phase.epochs * (passes * one_pass + rest * batch_size)
    return Length(epochs, examples)


def span(numbers: Sequence[int]) -> tuple[int, int]:
    """Least and most."""
    return min(numbers), max(numbers)
