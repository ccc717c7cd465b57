"""Over cells: pooled savings and performance profiles."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from reports.cost_units import unit_name
from reports.results.arm_result import ArmResult
from reports.results.contrast import Contrast, Saving
from reports.results.estimate import Estimate, Interval
from reports.results.results import Pooled, Profile
from reports.scope import Scope
from reports.statistics.meta_analysis import median_limits, paule_mandel, pool_bounded, pool_new
from reports.statistics.savings import BoundedSaving
from reports.wording import number

#: Largest ratio to the cheapest method that a profile shows (AlgoPerf's choice).
LARGEST_RATIO = 4.0
PROFILE_POINTS = 61
NONE_NOTE = "no cell to pool"
FEW_NOTE = "fewer than two data sets"


def pool(method: str, unit: str, contrasts: Sequence[Contrast], scope: Scope) -> Pooled:
    """The saving of a method over all cells, in one unit.

    Two questions are kept apart: what these cells gave on average, and what new data sets would give. Several
    architectures on one data set are averaged first: they are not several data sets.
    """
    pairs = [(contrast, saving) for contrast in contrasts if (saving := _of_unit(contrast, unit)) is not None]
    these = new = sensitivity = Estimate(None, note=NONE_NOTE)
    if pairs:
        savings = _bounded([saving for _, saving in pairs])
        these = _these(savings, scope.level)
        new, sensitivity = _new([contrast.dataset for contrast, _ in pairs], savings, scope.level)
    above, below = _beyond_one(pairs)
    unmatched = sum(bool(saving.ratio.censored) for _, saving in pairs)
    return Pooled(
        method=method,
        unit=unit,
        cells=len(contrasts),
        datasets=len({contrast.dataset for contrast, _ in pairs}),
        above_one=above,
        below_one=below,
        unmatched=unmatched,
        these_cells=these,
        new_datasets=new,
        new_datasets_sensitivity=sensitivity,
        median=_median([saving for _, saving in pairs], scope.level),
        sentence=_sentence(unit, these, new) if len(pairs) > 1 else "",
    )


def _of_unit(contrast: Contrast, unit: str) -> Saving | None:
    return next((saving for saving in contrast.savings if saving.unit == unit), None)


def _bounded(savings: Sequence[Saving]) -> BoundedSaving:
    """The savings of the cells as far as their trials can show them: none is censored."""
    cells = [saving.bounded for saving in savings]
    ends = np.log([(c.value, c.low, c.high, c.least, c.most) for c in cells]).T
    held = np.array([(c.held_low, c.held_high) for c in cells]).T
    return BoundedSaving(ends[0], ends[1], ends[2], ends[3], ends[4], held[0], held[1])


def _estimate(middle: float, low: float, high: float, level: float, method: str, note: str = "") -> Estimate:
    # Beyond e^50 a limit says nothing; it is left open.
    ends = [float(np.exp(end)) if abs(end - middle) < 50 else None for end in (low, high)]
    interval = Interval(ends[0], ends[1], level, ends[0] is None, ends[1] is None, method)
    return Estimate(float(np.exp(middle)), interval, note=note)


def _note(savings: BoundedSaving) -> str:
    """What the cells count as, if any of them reaches an end of what can be shown."""
    if not (savings.at_least.any() or savings.at_most.any()):
        return ""
    least, most = float(np.exp(savings.least.min())), float(np.exp(savings.most.max()))
    return f"a cell counts as far as its trials can show, here from {number(least)}× to {number(most)}×"


def _these(savings: BoundedSaving, level: float) -> Estimate:
    middle, low, high = (float(end) for end in pool_bounded(savings))
    return _estimate(middle, low, high, level, "mean of log savings, MOVER", _note(savings))


def _new(datasets: Sequence[str], savings: BoundedSaving, level: float) -> tuple[Estimate, Estimate]:
    names = sorted(set(datasets))
    if len(names) < 2:
        return Estimate(float(np.exp(savings.log.mean())), note=FEW_NOTE), Estimate(None, note=FEW_NOTE)
    rows = [[i for i, dataset in enumerate(datasets) if dataset == name] for name in names]
    means = np.array([savings.log[row].mean() for row in rows])
    middle, half = (float(part) for part in pool_new(means, level))
    # Cells that stop at the same end look more alike than they are: never narrower than over these cells.
    these = pool_bounded(savings)
    low, high = min(middle - half, float(these[1])), max(middle + half, float(these[2]))
    new = _estimate(middle, low, high, level, "t on the mean log savings of the data sets", _note(savings))
    errors = (savings.high - savings.low) / (2 * stats.norm.ppf((1 + level) / 2))
    if not (errors > 0).all():
        return new, Estimate(None, note="a cell has no error")
    pooled = np.array([np.sqrt((errors[row] ** 2).sum()) / len(row) for row in rows])
    middle_pm, half_pm, _ = paule_mandel(means, pooled, level)
    method = "Paule-Mandel, modified Knapp-Hartung"
    return new, _estimate(middle_pm, middle_pm - half_pm, middle_pm + half_pm, level, method)


def _beyond_one(pairs: Sequence[tuple[Contrast, Saving]]) -> tuple[int, int]:
    """Cells whose whole adjusted interval lies above 1, and below."""
    above = below = 0
    for _, saving in pairs:
        limits = saving.ratio_adjusted.interval
        if limits is None:
            continue
        above += limits.low is not None and limits.low > 1
        below += limits.high is not None and limits.high < 1 and not limits.high_censored
    return above, below


def _median(savings: Sequence[Saving], level: float) -> Estimate:
    values = []
    for saving in savings:
        if saving.ratio.value is None:
            continue
        bound = {"at_most": 0.0, "at_least": np.inf}
        values.append(bound.get(saving.ratio.censored, saving.ratio.value))
    if not values:
        return Estimate(None, note=NONE_NOTE)
    middle, low, high = median_limits(np.array(values), level)
    interval = Interval(
        low if np.isfinite(low) and low > 0 else None,
        high if np.isfinite(high) else None,
        level,
        low_censored=not (np.isfinite(low) and low > 0),
        high_censored=not np.isfinite(high),
        method="sign test",
    )
    if not np.isfinite(middle) or middle <= 0:
        return Estimate(None, interval, note="half of the cells are censored")
    return Estimate(middle, interval)


def _sentence(unit: str, these: Estimate, new: Estimate) -> str:
    if these.value is None:
        return ""
    mean = f"{number(these.value)}×{_span(these)}"
    held = ", each as far as its trials show" if these.note else ""
    text = f"Geometric mean of the saving in {unit_name(unit)}: {mean} over these cells{held}"
    if new.interval is not None:
        text += f"; the mean over new data sets lies within{_span(new)}"
    return text + "."


def _span(estimate: Estimate) -> str:
    limits = estimate.interval
    if limits is None or limits.low is None or limits.high is None:
        return ""
    return f" ({number(limits.low)} to {number(limits.high)})"


def profiles(
    arms: Sequence[ArmResult], contrasts: Sequence[Contrast], unit: str, scope: Scope
) -> tuple[Profile, ...]:
    """Dolan-More profiles of the methods in one unit.

    A problem is a cell with a fixed target where targets were given, else a cell with the baseline's expected
    best of n as its target. A method that does not solve a problem has an infinite ratio there.
    """
    problems = _target_problems(arms, unit) if scope.targets else _matching_problems(contrasts, unit, scope)
    problems = [costs for costs in problems if costs]
    methods = sorted({method for costs in problems for method in costs})
    if not problems or len(methods) < 2:
        return ()
    ratios = np.linspace(1.0, LARGEST_RATIO, PROFILE_POINTS)
    found = []
    for method in methods:
        own = np.array([costs.get(method, np.inf) / min(costs.values()) for costs in problems])
        share = (own[:, None] <= ratios + 1e-12).mean(axis=0)
        # Exact area under the step curve between 1 and the largest ratio.
        area = float(np.clip(LARGEST_RATIO - own, 0.0, None).mean() / (LARGEST_RATIO - 1))
        found.append(
            Profile(method, unit, len(problems), tuple(map(float, ratios)), tuple(map(float, share)), area)
        )
    return tuple(found)


def _target_problems(arms: Sequence[ArmResult], unit: str) -> list[Mapping[str, float]]:
    problems: dict[tuple[str, str, float], dict[str, float]] = {}
    for arm in arms:
        for cost in arm.targets:
            if (
                cost.unit == unit
                and cost.score == "validation"
                and cost.successes
                and cost.expected_cost.value
            ):
                key = (arm.dataset, arm.architecture, cost.target)
                problems.setdefault(key, {})[arm.method] = cost.expected_cost.value
    return list(problems.values())


def _matching_problems(contrasts: Sequence[Contrast], unit: str, scope: Scope) -> list[Mapping[str, float]]:
    problems: dict[tuple[str, str], dict[str, float]] = {}
    for contrast in contrasts:
        saving = _of_unit(contrast, unit)
        if saving is None or saving.baseline_cost is None or scope.baseline is None:
            continue
        costs = problems.setdefault((contrast.dataset, contrast.architecture), {})
        costs[scope.baseline] = saving.baseline_cost
        match = saving.cost_to_match
        if match is not None and match.value is not None and match.censored != "at_least":
            costs[contrast.method] = match.value
    return list(problems.values())
