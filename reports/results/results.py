"""What an analysis yields: frozen, plain data, ready for JSON, with no NaN and no infinity anywhere.

Everything a report prints, tabulates or draws comes from here. Conventions:

* Scores are in the units of the table (accuracies 0 to 1). Where lower is better, levels (expected scores,
  targets) keep the table's sign, and every *difference* is turned so that positive means the method is
  better than the baseline.
* `None` as an end of an interval means "open": no finite limit exists. A number together with its censored
  flag means "at least (at most) this much; the data do not reach further".
* `None` as a value means "could not be computed"; the `note` beside it says why.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

from reports.results.answer import Answer
from reports.results.arm_result import ArmResult
from reports.results.contrast import Contrast, Test
from reports.results.control_result import ControlResult
from reports.results.estimate import Estimate
from reports.results.replay_result import ReplayResult

RESULTS_VERSION = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """One data set x architecture."""

    dataset: str
    architecture: str
    arms: tuple[ArmResult, ...]
    contrasts: tuple[Contrast, ...]
    exploratory: tuple[Test, ...]  # all pairs of arms, Benjamini-Hochberg over all cells


@dataclass(frozen=True, slots=True)
class Pooled:
    """Savings of one method over cells, in one unit.

    these_cells: geometric mean over the cells of this study, each as far as its trials can show
    (`Saving.bounded`), so that a censored cell is averaged too; its note says from where to where.
    new_datasets: the same for data sets yet to come (t on data-set means).
    sentence: the mean in words, "" for fewer than two cells. Verdicts are counted in the `Answer`.
    """

    method: str
    unit: str
    cells: int
    datasets: int
    above_one: int  # cells whose adjusted interval lies above 1
    below_one: int  # cells whose adjusted interval lies below 1
    unmatched: int  # cells without an estimate, only a bound of it
    these_cells: Estimate
    new_datasets: Estimate
    new_datasets_sensitivity: Estimate  # Paule-Mandel with modified Knapp-Hartung
    median: Estimate
    sentence: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Dolan-More profile: share of problems that a method solves within `ratio` times the cheapest cost."""

    method: str
    unit: str
    problems: int
    ratio: tuple[float, ...]
    share: tuple[float, ...]
    score: float  # area under the curve between ratio 1 and 4, divided by 3


@dataclass(frozen=True, slots=True)
class Warn:
    """One thing a careful reviewer would say; `severity` orders them: "serious" may overturn a verdict."""

    code: str
    severity: Literal["serious", "caution", "note"]
    sentence: str
    dataset: str = ""
    architecture: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Looks:
    """How often these trials were looked at, as far as the folder of the report tells.

    number: of this page among the different sets of trials that pages in this folder were made of, from 1.
    declared: which of the declared looks this is, in words; "" where the study declared none. alpha: the
    error that the claims of this page may spend.
    """

    number: int
    declared: str
    alpha: float


@dataclass(frozen=True, slots=True)
class Results:
    """All that the report shows."""

    version: int
    baseline: str | None
    n: int
    n_set: tuple[int, ...]
    cost_unit: str
    cost_units: tuple[str, ...]
    confidence: float
    margin_rule: str
    failed_score_rule: str
    score_name: str
    lower_is_better: bool
    seed: int
    family_size: int
    headline: tuple[str, ...]
    answer: Answer
    cells: tuple[Cell, ...]
    pooled: tuple[Pooled, ...]
    profiles: tuple[Profile, ...]
    warnings: tuple[Warn, ...]
    replays: tuple[ReplayResult, ...] = ()
    controls: tuple[ControlResult, ...] = ()
    looks: Looks | None = None


def to_json_able(value: object) -> object:
    """Turns results into dicts, lists, str, int, float, bool and None.

    Raises:
        ValueError: a number is NaN or infinite: a fault of the analysis, never to be printed.
        TypeError: a value of a kind that results must not hold.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: to_json_able(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json_able(item) for key, item in value.items()}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Sequence):
        return [to_json_able(item) for item in value]
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a result is not a finite number")
        return value
    raise TypeError(f"results must be plain data, not {type(value).__name__}")
