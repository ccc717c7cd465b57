"""The saving recomputed against a baseline searched only in a part of its space.

A box is drawn from the baseline's own draws of its parameters, never from scores, so the trials inside remain
independent draws from the smaller space. All that follows is exploratory: limits are not adjusted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from harness.trial_table import PARAMETER_PREFIX
from reports.arms.arm import Arm
from reports.comparison.estimates import saving_estimate
from reports.comparison.evidence import Evidence, Prepared, prepare, weigh
from reports.results.contrast import SubBox
from reports.results.estimate import Estimate
from reports.scope import Scope
from reports.statistics.matching import Gap
from reports.statistics.savings import CostRatio
from reports.wording import number

#: A box must keep this many of the baseline's trials.
FEWEST_IN_BOX = 10
#: A box over several parameters keeps about this share of the trials if they are independent.
JOINT_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A part of the baseline's space and which trials lie in it."""

    label: str
    bounds: Mapping[str, tuple[float, float]]
    inside: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BoxSaving:
    """The comparison with the baseline in a box: gap and cost ratio, or a note why there is none."""

    box: Box
    gap: Gap | None
    ratio: CostRatio | None
    note: str


def boxes(arm: Arm) -> list[Box]:
    """Lower, middle and upper parts of each searched parameter, and of all widths of a kind together.

    Parameters whose names differ only in digits (`param_units_1`, `param_units_2`) are narrowed together: a
    narrower range of widths is what a more careful baseline would have searched.
    """
    groups: dict[str, list[str]] = {}
    for name in arm.parameters:
        groups.setdefault(re.sub(r"[_.\-]?\d+", "", name), []).append(name)
    found = []
    for stem, names in groups.items():
        share = 0.5 if len(names) == 1 else JOINT_SHARE ** (1 / len(names))
        for part, start in (("lower", 0.0), ("middle", (1 - share) / 2), ("upper", 1 - share)):
            found.append(_box(arm, stem, names, part, start, start + share))
    return found


def _box(arm: Arm, stem: str, names: list[str], part: str, start: float, stop: float) -> Box:
    inside = np.ones(arm.trials, dtype=bool)
    bounds = {}
    for name in names:
        values = arm.parameters[name]
        known = np.isfinite(values)
        # Quantiles of the draws need no knowledge of the scale (linear or logarithmic) they were drawn on.
        low, high = np.quantile(values[known], (start, stop), method="nearest")
        bounds[name.removeprefix(PARAMETER_PREFIX)] = (float(low), float(high))
        inside &= known & (values >= low) & (values <= high)
    shown = stem.removeprefix(PARAMETER_PREFIX)
    spans = sorted({f"{low:.4g} to {high:.4g}" for low, high in bounds.values()})
    count = f" (all {len(names)})" if len(names) > 1 else ""
    return Box(f"{part} part of {shown}{count}: {'; '.join(spans)}", bounds, inside)


def box_savings(method: Prepared, baseline: Prepared, scope: Scope) -> list[BoxSaving]:
    """The saving in the unit of the claim against the baseline in each box. Independent arms only."""
    results = []
    for box, narrowed in _narrowed(baseline.arm, scope):
        if isinstance(narrowed, str):
            results.append(BoxSaving(box, None, None, narrowed))
            continue
        part = weigh(method, narrowed, scope, False)
        ratio = part.ratios.get(scope.cost)
        results.append(BoxSaving(box, part.gap, ratio, part.refusal))
    return results


@lru_cache(maxsize=8)
def _narrowed(arm: Arm, scope: Scope) -> tuple[tuple[Box, Prepared | str], ...]:
    """The baseline in each box, or why it has too few trials there; kept, as all methods of a cell ask it."""
    found: list[tuple[Box, Prepared | str]] = []
    needed = max(FEWEST_IN_BOX, 2 * scope.n)
    for box in boxes(arm):
        count = int(box.inside.sum())
        if count < needed:
            found.append((box, f"{count} baseline trials inside, {needed} are needed"))
        else:
            found.append((box, prepare(replace(arm.taken(box.inside), pair=None), scope)))
    return tuple(found)


def sub_boxes(evidence: Evidence, scope: Scope) -> tuple[SubBox, ...]:
    """The saving against each part of the baseline's space; none unless its trials are independent."""
    if evidence.baseline is None or not evidence.baseline.arm.is_independent or evidence.paired:
        return ()
    found = []
    for result in box_savings(evidence.method, evidence.baseline, scope):
        estimate = Estimate(None, note=result.note)
        if result.gap is not None and result.ratio is not None:
            estimate = saving_estimate(result.gap, result.ratio, scope.level)
        count = int(result.box.inside.sum())
        found.append(SubBox(result.box.label, result.box.bounds, count, scope.cost, estimate, result.note))
    return tuple(found)


def space_sentence(saving: Estimate, boxes: tuple[SubBox, ...], baseline: str) -> str:
    """Whether a saving (or loss) against the whole space survives in the parts of it that could be judged."""
    judged = [box for box in boxes if box.saving.value is not None and box.saving.interval is not None]
    if not judged or saving.value is None:
        return ""
    values = [box.saving.value for box in judged if box.saving.value is not None]
    if not _is_clear(saving):
        return (
            f"Against parts of {baseline}'s search space the saving runs from {number(min(values))}× to "
            f"{number(max(values))}×, against the whole of it {number(saving.value)}× (exploratory)."
        )
    gone = [box for box in judged if not _same_side(saving, box.saving)]
    side = "saving" if saving.value > 1 else "loss"
    if not gone:
        return (
            f"The {side} has the same direction against {baseline} in each of {len(judged)} parts of its "
            "search space (exploratory)."
        )
    farthest = min if saving.value > 1 else max
    worst = farthest(gone, key=lambda box: box.saving.value or 0.0)
    return (
        f"The answer depends on the space searched: against {baseline} searched only in the {worst.label} "
        f"({worst.baseline_trials} trials), the {side} is gone: {number(worst.saving.value)}× "
        f"({len(gone)} of {len(judged)} parts; exploratory)."
    )


def _is_clear(saving: Estimate) -> bool:
    """Whether the plain interval excludes 1."""
    limits = saving.interval
    if limits is None:
        return False
    above = limits.low is not None and limits.low > 1
    return above or (limits.high is not None and limits.high < 1 and not limits.high_censored)


def _same_side(whole: Estimate, part: Estimate) -> bool:
    if whole.value is None or part.value is None:
        return False
    return (whole.value > 1) == (part.value > 1)
