"""The answer in short: what the first screen, the Markdown report and the terminal show, each word of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from reports.results.contrast import VerdictKind


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity of a card: its words, and what is drawn of it.

    label: what is compared, such as "accuracy, best of 5 trials each". word: what holds of it, of a closed
    list (`reports.comparison.answering`). value, low, high: a difference of scores (positive: the method is
    better), or the method's cost over the baseline's; None where there is no number, or no limit is known.
    bound: "" an estimate; "at_most", "at_least": the value only bounds it. words: the estimate with its
    limits, open ends said.
    """

    label: str
    word: str
    value: float | None
    low: float | None
    high: float | None
    bound: str
    words: str


@dataclass(frozen=True, slots=True)
class Card:
    """A method in one cell. kind: of its verdict, the same word. sentence: the answer without statistics."""

    dataset: str
    architecture: str
    method: str
    kind: VerdictKind
    sentence: str
    score: Reading
    cost: Reading
    margin: float

    @property
    def line(self) -> str:
        """The card in one line of text."""
        place = f"{self.method} on {self.dataset} / {self.architecture}"
        parts = [
            f"{part.label}: {part.word}, {part.words}." for part in (self.score, self.cost) if part.words
        ]
        return " ".join([f"{place}: {self.kind}.", self.sentence, *(p[:1].upper() + p[1:] for p in parts)])


@dataclass(frozen=True, slots=True)
class Tally:
    """A method over all cells: how often each verdict was given, and what is said of the cells together."""

    method: str
    counts: Mapping[str, int]  # in the order of `VERDICT_KINDS`; kinds that were not given are left out
    sentence: str


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a reader of one screen sees.

    question: the title. setting: how it was asked. tallies: where there is more than one cell. reading: how
    the pictures are read. unlike: arms whose trials are not equally long. open: what would settle what is not
    settled. turns: where it turns with n.
    """

    question: str
    setting: str
    tallies: tuple[Tally, ...]
    cards: tuple[Card, ...]
    reading: tuple[str, ...]
    unlike: tuple[str, ...]
    open: tuple[str, ...]
    turns: tuple[str, ...]
    baseline: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer as sentences, in the order in which they are read."""
        tallies = (tally.sentence for tally in self.tallies)
        return (*self.unlike, *tallies, *(card.line for card in self.cards), *self.open, *self.turns)
