"""From a checked trial table to all results: `analyse`."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from harness.design import ArmDesign, StudyDesign
from reports.arms.arm import Arm
from reports.arms.from_table import read_arms
from reports.comparison.answering import answer
from reports.comparison.contrasts import conclude
from reports.comparison.controls import judge_controls
from reports.comparison.distribution_tests import distribution_test
from reports.comparison.evidence import Evidence, Prepared, prepare, weigh
from reports.comparison.families import adjust
from reports.comparison.pooling import pool, profiles
from reports.description.accounting import arms_in_order
from reports.description.describe import describe_arm
from reports.description.fronts import corner_of, telling_axes
from reports.description.lengths import unequal
from reports.description.replays import describe_replays
from reports.results.answer import Answer
from reports.results.contrast import Contrast, Test
from reports.results.results import RESULTS_VERSION, Cell, Looks, Results
from reports.review.review import review
from reports.scope import Scope, fill
from reports.settings import Settings
from reports.statistics.best_of_n import median_best
from reports.statistics.multiplicity import benjamini_hochberg
from reports.table.checks import TrialTable
from reports.wording import ScoreWords

CellName = tuple[str, str]

#: Most pairs of arms that are all compared; each takes about a twentieth of a second.
MOST_PAIRS = 500


def analyse(table: TrialTable, design: StudyDesign | None, settings: Settings) -> Results:
    """Everything the report says about a table.

    Args:
        table: a table that passed `reports.table.checks.check_table`; it may be empty if there is a design.
        design: what the study asked for; None for a table without one.
        settings: of this report; they take precedence over the design's claim.

    Returns:
        Plain results without NaN or infinity; the same input gives the same results, whatever the row order.

    Raises:
        TableError: an arm mixes ways of sampling.
    """
    return judge(read_arms(table.trials, settings), table, design, settings)


def judge(
    arms: Sequence[Arm],
    table: TrialTable,
    design: StudyDesign | None,
    settings: Settings,
    histories: pd.DataFrame | None = None,
    look: int = 1,
) -> Results:
    """`analyse` for arms that were read before from the same table with the same settings.

    histories: one row an epoch, as `reports.write.write_report` takes them; replays need them.
    look: which look at these arms this is, from 1.
    """
    scope = fill(settings, design, arms)
    score = ScoreWords(settings.score, scope.bounded, settings.lower_is_better)
    paired = design.paired if design else False
    keep = paired or any(arm.pair is not None for arm in arms)
    cells: dict[CellName, list[Prepared]] = {}
    for arm in arms:
        cells.setdefault((arm.dataset, arm.architecture), []).append(prepare(arm, scope, keep))
    for name in cells:
        cells[name].sort(key=lambda side: (side.arm.method != scope.baseline, side.arm.method))
    targets = {name: _targets(name, sides, scope) for name, sides in cells.items()}
    contrasts = _contrasts(cells, targets, scope, score, paired)
    place = {name: number for number, name in enumerate(arms_in_order(arms, design, scope.baseline or ""))}
    contrasts.sort(key=lambda c: place[c.dataset, c.architecture, c.method])
    designs = {(a.dataset, a.architecture, a.method): a for a in (design.arms if design else ())}
    again = {arm.name: arm for arm in read_arms(table.repeats, settings)}
    exploratory = _exploratory(cells, scope, contrasts)
    built = tuple(
        _cell(name, sides, targets[name], contrasts, exploratory[name], designs, scope, again)
        for name, sides in cells.items()
    )
    described = [arm for cell in built for arm in cell.arms]
    units = sorted({unit for arm in arms for unit in arm.costs}, key=lambda unit: (unit != scope.cost, unit))
    methods = [name for name in scope.methods if any(c.method == name for c in contrasts)]
    of_method = {name: [c for c in contrasts if c.method == name] for name in methods}
    pooled = tuple(pool(name, unit, of_method[name], scope) for name in methods for unit in units)
    unlike = unequal(arms, scope.baseline, scope.methods) if contrasts else ()
    said = answer(contrasts, pooled, tuple(unlike), scope, score)
    return Results(
        version=RESULTS_VERSION,
        baseline=scope.baseline,
        n=scope.n,
        n_set=scope.n_set,
        cost_unit=scope.cost,
        cost_units=tuple(units),
        confidence=scope.level,
        margin_rule=scope.margin_rule,
        failed_score_rule=scope.failed_score_rule,
        score_name=settings.score,
        lower_is_better=settings.lower_is_better,
        seed=settings.seed,
        family_size=len(contrasts),
        headline=_headline(contrasts, said, scope),
        answer=said,
        cells=built,
        pooled=pooled,
        profiles=tuple(line for unit in units for line in profiles(described, contrasts, unit, scope)),
        warnings=review(table, design, arms, described, contrasts, scope, score, look),
        replays=describe_replays(histories, arms, design, scope, score),
        controls=judge_controls(cells, design, scope, score, paired),
        looks=Looks(look, scope.look, scope.alpha),
    )


def _targets(name: CellName, sides: Sequence[Prepared], scope: Scope) -> list[tuple[float, str]]:
    """Turned target scores of a cell with their source."""
    given = [
        (scope.sign * target.value, "given")
        for target in scope.targets
        if target.dataset in (None, name[0]) and target.architecture in (None, name[1])
    ]
    if given or scope.targets:
        return given
    base = next((side.arm for side in sides if side.arm.method == scope.baseline), None)
    if base is None or base.trials < 2 * scope.n or not base.is_independent:
        return []
    value = median_best(base.validation, scope.n, scope.level)[0]
    if not np.isfinite(value):
        return []
    return [(value, f"median best validation score of {scope.n} trials of {base.method} (descriptive)")]


def _contrasts(
    cells: dict[CellName, list[Prepared]],
    targets: dict[CellName, list[tuple[float, str]]],
    scope: Scope,
    score: ScoreWords,
    paired: bool,
) -> list[Contrast]:
    """The primary family: every method of the claim against the baseline, in every cell. Controls are
    compared with the method that they begin from (`reports.comparison.controls`)."""
    if scope.baseline is None:
        return []
    pairs: list[tuple[Evidence, Test | str]] = []
    for sides in cells.values():
        base = next((side for side in sides if side.arm.method == scope.baseline), None)
        for side in sides:
            if side.arm.method not in scope.methods:
                continue
            evidence = weigh(side, base, scope, paired)
            test: Test | str = evidence.refusal
            if evidence.baseline is not None and not (evidence.paired and evidence.refusal):
                test = distribution_test(evidence.method, evidence.baseline, scope, evidence.paired)
            pairs.append((evidence, test))
    concluded = []
    for (evidence, _), (levels, test) in zip(pairs, adjust(pairs, scope), strict=True):
        arm = evidence.method.arm
        wanted = targets[arm.dataset, arm.architecture]
        concluded.append(conclude(evidence, levels, test, wanted, scope, score))
    return concluded


def _exploratory(
    cells: dict[CellName, list[Prepared]], scope: Scope, contrasts: Sequence[Contrast]
) -> dict[CellName, tuple[Test, ...]]:
    """All pairs of arms in all cells, Benjamini-Hochberg over all of them. Primary tests are taken over.

    With more than `MOST_PAIRS` pairs only those with the baseline are tested.
    """
    known = {(c.dataset, c.architecture, c.method): c.test for c in contrasts if c.test is not None}
    found: list[tuple[CellName, Test]] = []
    every = sum(len(sides) * (len(sides) - 1) // 2 for sides in cells.values()) <= MOST_PAIRS
    for name, sides in cells.items():
        for second, first in combinations(sides, 2):
            if not every and second.arm.method != scope.baseline:
                continue
            test: Test | str | None = None
            if second.arm.method == scope.baseline:
                test = known.get((*name, first.arm.method))
            if test is None and not _share_draws(first.arm, second.arm):
                test = distribution_test(first, second, scope, paired=False)
            if isinstance(test, Test):
                found.append((name, test))
    adjusted = benjamini_hochberg(np.array([test.p_value for _, test in found], dtype=np.float64))
    placed: dict[CellName, list[Test]] = {name: [] for name in cells}
    for (name, test), p in zip(found, adjusted, strict=True):
        placed[name].append(replace(test, p_adjusted=float(p), adjustment="Benjamini-Hochberg"))
    return {name: tuple(tests) for name, tests in placed.items()}


def _share_draws(first: Arm, second: Arm) -> bool:
    if first.pair is None or second.pair is None:
        return False
    return bool(np.intersect1d(first.pair, second.pair).size)


def _cell(
    name: CellName,
    sides: Sequence[Prepared],
    targets: list[tuple[float, str]],
    contrasts: Sequence[Contrast],
    exploratory: tuple[Test, ...],
    designs: dict[tuple[str, str, str], ArmDesign],
    scope: Scope,
    again: dict[tuple[str, str, str], Arm],
) -> Cell:
    arms = [side.arm for side in sides]
    corners = {axis: corner_of(arms, axis) for axis in telling_axes(arms)}
    return Cell(
        dataset=name[0],
        architecture=name[1],
        arms=tuple(
            describe_arm(
                side.arm,
                scope,
                designs.get((*name, side.arm.method)),
                targets,
                corners,
                again.get(side.arm.name),
            )
            for side in sides
        ),
        contrasts=tuple(c for c in contrasts if (c.dataset, c.architecture) == name),
        exploratory=exploratory,
    )


def _headline(contrasts: Sequence[Contrast], said: Answer, scope: Scope) -> tuple[str, ...]:
    if scope.baseline is None:
        return ("No baseline was named: the report describes and compares, and gives no verdict.",)
    if not contrasts:
        return (f"Nothing to compare yet: no other method has trials beside {scope.baseline} in any cell.",)
    return said.lines
