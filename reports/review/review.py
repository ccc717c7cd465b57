"""What a careful reviewer would object to, found by the report itself."""

from collections.abc import Sequence

from harness.design import StudyDesign
from reports.arms.arm import Arm
from reports.results.arm_result import ArmResult
from reports.results.contrast import Contrast
from reports.results.results import Warn
from reports.review.copies import copies
from reports.review.design import epochs, planned, reading, spaces
from reports.review.looks import looks
from reports.review.scores import drops, noise, optimism
from reports.review.trials import drift, few, filled, hardware, missing, sizes, splits
from reports.scope import Scope
from reports.table.checks import TrialTable
from reports.wording import ScoreWords


def review(
    table: TrialTable,
    design: StudyDesign | None,
    arms: Sequence[Arm],
    results: Sequence[ArmResult],
    contrasts: Sequence[Contrast],
    scope: Scope,
    score: ScoreWords,
    look: int,
) -> tuple[Warn, ...]:
    """All warnings, the gravest first."""
    found = [
        *reading(table, scope),
        *spaces(design, arms),
        *epochs(arms),
        *sizes(arms),
        *few(arms, scope),
        *missing(results, design),
        *noise(arms, contrasts, scope, score),
        *optimism(results, contrasts, scope, score),
        *drift(arms),
        *hardware(arms, scope),
        *splits(arms),
        *copies(arms),
        *looks(look, design, scope),
        *drops(results, scope),
        *filled(arms),
    ]
    if design is not None:
        found += planned(design, found)
    order = {"serious": 0, "caution": 1, "note": 2}
    return tuple(sorted(found, key=lambda warn: order[warn.severity]))
