"""What is said of an arm whose points were trained more than once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Luck:
    """Shares of the variance between an arm's trials, in test scores; they describe, without limits.

    sizes: of what was searched; split: of the validation split, None where there is one; initialisation,
    order: of the seeds of weights and of the order of examples, None where they cannot be told apart;
    training: of both together. luck: all but sizes. sizes, split and training add up to 1. All None where
    `note` says why.
    points: that were trained more than once to a score; trainings: with a score; failed: without, left out.
    """

    points: int
    trainings: int
    failed: int
    spread: float | None  # square root of the whole variance, in units of the score
    sizes: float | None
    split: float | None
    training: float | None
    initialisation: float | None
    order: float | None
    luck: float | None
    sentence: str
    note: str = ""
