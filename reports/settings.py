"""What a reader may set for an analysis; a study file or the defaults fill the rest."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A score to be reached, fixed outside the compared data; for one data set or family, or for all."""

    value: float
    dataset: str | None = None
    architecture: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of an analysis. `None` means: take it from the study's design, else the stated default.

    Args:
        baseline: method that the others are compared with. No default: without one there are no verdicts.
        methods: methods the claim is about, i.e. the primary family; empty: all but the baseline and
            controls, which are held against the method that they begin from.
        n: primary number of trials. Default: a tenth of the smallest arm, at least 2, at most 10.
        cost: "trials" or a cost column. Default: "trials".
        margin: how much worse still counts as on par, in units of the score. Default: the standard error of
            the test score from the size of the test set, where `n_test` is known, else 0.
        targets: fixed scores for the cost to target. Default: the baseline's median best validation score
            of n trials, marked as descriptive.
        failed_score: what a failed trial counts as. Default: as the table's column `failed_score` says; where
            it says nothing, 0 for an accuracy (or any score where higher is better and none is negative),
            else the worst finished score of the cell.
        score: name of the score, for the page.
        validation_column: column that selects.
        test_column: column that is reported.
        lower_is_better: the score is a loss or an error.
        is_share: the score lies between 0 and 1 and is shown in per cent; None: if the columns are those of
            accuracies.
        confidence: level of all intervals.
        seed: seed of the permutations and bootstrap.
        permutations: random permutations of a test.
        resamples: bootstrap resamples.
    """

    baseline: str | None = None
    methods: tuple[str, ...] = ()
    n: int | None = None
    cost: str | None = None
    margin: float | None = None
    targets: tuple[Target, ...] = ()
    failed_score: float | None = None
    score: str = "accuracy"
    validation_column: str = "val_accuracy"
    test_column: str = "test_accuracy"
    lower_is_better: bool = False
    is_share: bool | None = None
    confidence: float = 0.95
    seed: int = 20240
    permutations: int = 9_999
    resamples: int = 1_000
