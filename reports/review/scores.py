"""Objections to the scores: test noise, optimism, selection of noise."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from reports.arms.arm import Arm
from reports.results.arm_result import ArmResult
from reports.results.contrast import Contrast
from reports.results.results import Warn
from reports.scope import Scope, score_noise
from reports.wording import ScoreWords


def noise(
    arms: Sequence[Arm], contrasts: Sequence[Contrast], scope: Scope, score: ScoreWords
) -> Iterator[Warn]:
    """Differences that another test set could turn round."""
    by_name = {(arm.dataset, arm.architecture, arm.method): arm for arm in arms}
    found: dict[str, list[str]] = {}
    for contrast in contrasts:
        arm = by_name[contrast.dataset, contrast.architecture, contrast.method]
        if contrast.difference is None or contrast.difference.value is None:
            continue
        noise = score_noise(scope, arm, float(np.median(arm.test))) * np.sqrt(2)
        value = contrast.difference.value
        if 0 < abs(value) < noise:
            numbers = f"{score.difference(value)} against {score.difference(noise).lstrip('+')}"
            found.setdefault(contrast.method, []).append(f"{_place(arm)}: {numbers}")
    if found:
        sentence = (
            f"The difference between {_all(found)} and {scope.baseline} at n = {scope.n} is smaller than the "
            f"noise of the test set, so another test set could turn it round ({_where(found)})."
        )
        yield Warn("noise", "caution", sentence, method=_one(found))


def _all(found: Mapping[str, Sequence[str]]) -> str:
    """The methods that something was found of, in one phrase."""
    *first, last = found
    return f"{', '.join(first)} or {last}" if first else last


def _one(found: Mapping[str, Sequence[str]]) -> str:
    return next(iter(found)) if len(found) == 1 else ""


def _where(found: Mapping[str, Sequence[str]]) -> str:
    """Cell by cell what was found, with the method where there are several."""
    several = len(found) > 1
    return "; ".join(
        f"{name} on {cell}" if several else cell for name, cells in found.items() for cell in cells
    )


def _place(arm: Arm | ArmResult) -> str:
    return f"{arm.dataset} / {arm.architecture}"


def optimism(
    results: Sequence[ArmResult], contrasts: Sequence[Contrast], scope: Scope, score: ScoreWords
) -> Iterator[Warn]:
    """Arms whose selected trial looks better on validation than on test, by more than the arms differ."""
    differences = {
        (c.dataset, c.architecture): abs(c.difference.value)
        for c in contrasts
        if c.difference is not None and c.difference.value is not None
    }
    found: dict[str, list[str]] = {}
    for arm in results:
        curve = arm.optimism_of_n
        if curve is None or scope.n not in curve.n:
            continue
        excess = curve.estimates[curve.n.index(scope.n)]
        limits = excess.interval
        largest = max(differences.get((arm.dataset, arm.architecture), 0.0), scope.margin or 0.0)
        if limits is None or limits.low is None or excess.value is None:
            continue
        if limits.low > 0 and excess.value > largest:
            points = score.difference(excess.value).lstrip("+")
            found.setdefault(arm.method, []).append(f"{_place(arm)}: {points}")
    if found:
        sentence = (
            f"The trial of {_all(found)} that validation selects among {scope.n} scores better on validation "
            f"than on test, by more than the arms differ: trust test scores only ({_where(found)})."
        )
        yield Warn("optimism", "caution", sentence, method=_one(found))


def drops(results: Sequence[ArmResult], scope: Scope) -> Iterator[Warn]:
    """Expected test score that falls with more trials: validation selects noise."""
    found: dict[str, list[str]] = {}
    for arm in results:
        curve = arm.best_of_n
        if curve is None or arm.sampling != "iid":
            continue
        reliable = [
            e for n, e in zip(curve.n, curve.estimates, strict=True) if n <= max(curve.reliable_to, 1)
        ]
        values = [e.value for e in reliable if e.value is not None]
        last = reliable[-1].interval if reliable else None
        if len(values) < 2 or last is None or last.low is None or last.high is None:
            continue
        drop = max(scope.sign * value for value in values) - scope.sign * values[-1]
        if drop > (last.high - last.low) / 4:  # about one standard error
            found.setdefault(arm.method, []).append(_place(arm))
    if found:
        sentence = (
            f"More trials of {_all(found)} give a worse selected model: validation selects noise "
            f"({_where(found)})."
        )
        yield Warn("drop", "caution", sentence, method=_one(found))
