"""Objections to the trials: how many, which are missing, dependent, copied or on other machines."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from harness.design import StudyDesign
from harness.design_warnings import TRIALS_TO_DIFFER, fewest_trials
from reports.arms.arm import Arm, arms_by_cell
from reports.results.arm_result import ArmResult
from reports.results.results import Warn
from reports.scope import Scope
from reports.wording import number

#: A drift with trial order is told below this p-value, shared among the arms.
DRIFT_ALPHA = 0.05


#: Numbers of trials (or epochs) count as unequal beyond this ratio.
UNEQUAL = 1.1


def sizes(arms: Sequence[Arm]) -> Iterator[Warn]:
    """Cells whose arms have unequal numbers of trials."""
    for (dataset, architecture), members in arms_by_cell(arms).items():
        counts = {arm.method: arm.trials for arm in members}
        if counts and max(counts.values()) > UNEQUAL * max(min(counts.values()), 1):
            said = ", ".join(f"{method} {count}" for method, count in counts.items())
            sentence = f"The arms have unequal numbers of trials ({said})."
            yield Warn("unequal", "caution", sentence, dataset, architecture)


def few(arms: Sequence[Arm], scope: Scope) -> Iterator[Warn]:
    """Arms with too few trials for n."""
    short = [arm for arm in arms if arm.is_independent and arm.trials < fewest_trials(scope.n)]
    if short:
        sizes = sorted({arm.trials for arm in short})
        have = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        sentence = (
            f"{len(short)} of {len(arms)} arms have too few trials ({have}) for n = {scope.n}: it asks for "
            f"{fewest_trials(scope.n)} at least, better {TRIALS_TO_DIFFER * scope.n}."
        )
        yield Warn("few", "caution", sentence)


def missing(results: Sequence[ArmResult], design: StudyDesign | None) -> Iterator[Warn]:
    """Planned trials without an outcome, outcomes without a plan, and arms of which nothing is left."""
    present = {(arm.dataset, arm.architecture, arm.method) for arm in results}
    planned = [(arm.dataset, arm.architecture, arm.method) for arm in design.arms] if design else []
    absent = ["/".join(place) for place in planned if place not in present]
    if absent:
        sentence = f"{len(absent)} of {len(planned)} planned arms have no outcome yet: {', '.join(absent)}."
        yield Warn("missing", "caution", sentence)
    for arm in results:
        place = arm.dataset, arm.architecture, arm.method
        count = arm.accounting
        if count.not_run:
            sentence = (
                f"{count.not_run} of {count.planned} planned trials of {arm.method} have no outcome yet."
            )
            yield Warn("missing", "caution", sentence, *place)
        if not count.balanced:
            sentence = (
                f"{arm.method} has {count.done + count.failed} outcomes for {count.planned} planned trials: "
                "more than there can be."
            )
            yield Warn("accounting", "serious", sentence, *place)
        if count.failed == arm.trials and arm.trials:
            yield Warn("failed", "serious", f"Every trial of {arm.method} failed.", *place)


def drift(arms: Sequence[Arm]) -> Iterator[Warn]:
    """Arms whose scores go up or down with the order of drawing."""
    judged = [arm for arm in arms if arm.is_independent and arm.position is not None and arm.trials >= 10]
    for arm in judged:
        position = arm.position
        if position is None or np.ptp(arm.test) == 0 or np.ptp(position) == 0:
            continue
        outcome = stats.spearmanr(position, np.where(arm.scored, arm.test, arm.test.min() - 1.0))
        if outcome.pvalue < DRIFT_ALPHA / len(judged):
            sentence = (
                f"Scores of {arm.method} drift with the order of its trials (rank correlation "
                f"{number(float(outcome.statistic), 2)}): independent draws do not."
            )
            yield Warn("drift", "serious", sentence, arm.dataset, arm.architecture, arm.method)


def hardware(arms: Sequence[Arm], scope: Scope) -> Iterator[Warn]:
    """Cells whose trials ran on several kinds of device."""
    for (dataset, architecture), members in arms_by_cell(arms).items():
        devices: set[str] = set()
        for arm in members:
            if "device" in arm.facts and "train_seconds" in arm.costs:
                devices |= set(arm.facts["device"].dropna().astype(str)) - {""}
        if len(devices) > 1:
            grave = scope.cost in ("train_seconds", "total_train_seconds", "device_seconds", "joules")
            sentence = (
                f"Trials ran on {len(devices)} kinds of device ({', '.join(sorted(devices))}): seconds and "
                "joules are not comparable between them; FLOPs are."
            )
            yield Warn("hardware", "serious" if grave else "caution", sentence, dataset, architecture)


def splits(arms: Sequence[Arm]) -> Iterator[Warn]:
    """Data sets with one validation split only, and arms whose trials or searches share one of several."""
    yield from _shared_splits(arms)
    alone = []
    for dataset in sorted({arm.dataset for arm in arms}):
        frames = [arm.facts for arm in arms if arm.dataset == dataset]
        seeds = {seed for frame in frames if "split_seed" in frame for seed in frame["split_seed"].dropna()}
        if len(seeds) == 1:
            alone.append(dataset)
    if alone:
        sentence = (
            f"One validation split only, the same for every trial ({', '.join(alone)}): what another split "
            "would select is not part of any interval."
        )
        yield Warn("split", "note", sentence)


def _shared_splits(arms: Sequence[Arm]) -> Iterator[Warn]:
    for (dataset, architecture), members in arms_by_cell(arms).items():
        sharing, most = [], 0
        for arm in members:
            found = arm.facts["split_seed"].nunique() if "split_seed" in arm.facts else 0
            if 1 < found < (arm.searches or arm.trials):
                sharing.append(arm.method)
                most = max(most, found)
        if sharing:
            sentence = (
                f"Trials of {', '.join(sharing)} lie on {most} validation splits, and those of one split "
                "share what it selects: limits take them as independent, and may be too narrow for that."
            )
            yield Warn("split", "caution", sentence, dataset, architecture)


def filled(arms: Sequence[Arm]) -> Iterator[Warn]:
    """Trials without a recorded cost, and units that are withheld."""
    for arm in arms:
        for unit, count in arm.filled.items():
            if count:
                sentence = (
                    f"{count} trials of {arm.method} have no {unit}; they count at the mean of the others."
                )
                yield Warn("cost", "caution", sentence, arm.dataset, arm.architecture, arm.method)
        for unit, why in arm.withheld.items():
            sentence = f"{arm.method}: no costs in {unit} ({why})."
            yield Warn("cost", "caution", sentence, arm.dataset, arm.architecture, arm.method)
