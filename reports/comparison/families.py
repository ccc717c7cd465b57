"""Families of hypotheses: which contrasts are adjusted together, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports.comparison.evidence import Evidence
from reports.results.contrast import Test
from reports.scope import Scope
from reports.statistics.multiplicity import holm
from reports.statistics.savings import saving_p_value


@dataclass(frozen=True, slots=True)
class Family:
    """Holm's outcome for one family of hypotheses: adjusted p-values and levels of limits by position."""

    p: tuple[float, ...]
    level: tuple[float, ...]


def family(p_values: Sequence[float], alpha: float) -> Family:
    """Applies Holm's procedure to one family."""
    if not p_values:
        return Family((), ())
    adjusted, levels = holm(np.asarray(p_values, dtype=np.float64), alpha)
    return Family(tuple(map(float, adjusted)), tuple(map(float, levels)))


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Levels and p-values of one contrast after its families were adjusted."""

    size: int
    saving_level: Mapping[str, float]
    saving_p: Mapping[str, float]
    saving_p_plain: Mapping[str, float]
    worse_level: float
    par_level: float
    par_p: float


def adjust(pairs: Sequence[tuple[Evidence, Test | str]], scope: Scope) -> list[tuple[Adjusted, Test | str]]:
    """Holm within each family: the saving in each unit, "worse", "on par", and the distribution tests."""
    judged = [i for i, (evidence, _) in enumerate(pairs) if not evidence.refusal]
    units = sorted({unit for i in judged for unit in pairs[i][0].ratios})
    plain: dict[str, dict[int, float]] = {unit: {} for unit in units}
    for i in judged:
        gap = pairs[i][0].gap
        for unit, ratio in pairs[i][0].ratios.items():
            if gap is not None:
                plain[unit][i] = float(saving_p_value(gap, ratio)[0])
    savings = {unit: _placed(list(ps), family(list(ps.values()), scope.alpha)) for unit, ps in plain.items()}
    p_worse = {i: p for i in judged if (p := pairs[i][0].p_worse) is not None}
    p_par = {i: p for i in judged if (p := pairs[i][0].p_par) is not None}
    worse = _placed(list(p_worse), family(list(p_worse.values()), scope.alpha))
    par = _placed(list(p_par), family(list(p_par.values()), scope.alpha))
    tested = {i: test.p_value for i, (_, test) in enumerate(pairs) if isinstance(test, Test)}
    tests = _placed(list(tested), family(list(tested.values()), scope.alpha))
    found: list[tuple[Adjusted, Test | str]] = []
    for i, (_, test) in enumerate(pairs):
        adjusted = Adjusted(
            size=len(judged),
            saving_level={unit: places[i][1] for unit, places in savings.items() if i in places},
            saving_p={unit: places[i][0] for unit, places in savings.items() if i in places},
            saving_p_plain={unit: ps[i] for unit, ps in plain.items() if i in ps},
            worse_level=worse[i][1] if i in worse else scope.level,
            par_level=par[i][1] if i in par else scope.level,
            par_p=par[i][0] if i in par else 1.0,
        )
        if isinstance(test, Test):
            test = replace(test, p_adjusted=tests[i][0], adjustment="Holm")
        found.append((adjusted, test))
    return found


def _placed(members: Sequence[int], outcome: Family) -> dict[int, tuple[float, float]]:
    return {i: (p, level) for i, p, level in zip(members, outcome.p, outcome.level, strict=True)}
