"""Trial accounting: what was planned, what became of it, and whether the two agree."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.design import StudyDesign
from harness.trial_table import FAILURES, OUTCOMES
from reports.arms.arm import Arm

#: Data set, architecture, method.
ArmName = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ArmAccount:
    """One arm's trials.

    Attributes:
        planned: trials the study asked for, repeats left out; None where no plan is known.
        outcomes: trials by status, in the order of `OUTCOMES`, zeros kept.
        failed: those of them that are failures.
        total: all outcomes together.
        not_run: planned trials without an outcome yet; None where no plan is known.
        problem: one sentence where the numbers do not add up, else "".
    """

    dataset: str
    architecture: str
    method: str
    planned: int | None
    outcomes: dict[str, int]
    failed: int
    total: int
    not_run: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class Accounting:
    """All arms' trials, and what stands beside them.

    Attributes:
        arms: in the order of the design, then of the table.
        planned, total, not_run: sums over the arms; planned and not_run None where no plan is known.
        outcomes: sums by status.
        lost_attempts: attempts whose worker died; their trials ran, or run, again.
        set_aside: records that were put aside, damaged or of another plan.
        problems: every sentence on what does not add up.
    """

    arms: tuple[ArmAccount, ...]
    planned: int | None
    total: int
    not_run: int | None
    outcomes: dict[str, int]
    lost_attempts: int
    set_aside: int
    problems: tuple[str, ...]

    @property
    def is_finished(self) -> bool:
        """Nothing is left to run, as far as a plan is known."""
        return not self.not_run


def arms_in_order(arms: Sequence[Arm], design: StudyDesign | None, baseline: str) -> list[ArmName]:
    """Names of every arm of the design and the table, cell by cell, the baseline first in its cell."""
    planned: list[ArmName] = [(a.dataset, a.architecture, a.method) for a in design.arms] if design else []
    found = sorted(arm.name for arm in arms)
    names = list(dict.fromkeys(planned + found))
    cells = list(dict.fromkeys(name[:2] for name in names))
    methods = list(dict.fromkeys(name[2] for name in names))
    return sorted(
        names, key=lambda name: (cells.index(name[:2]), name[2] != baseline, methods.index(name[2]))
    )


def account(arms: Sequence[Arm], design: StudyDesign | None, lost_rows: int, baseline: str) -> Accounting:
    """Counts every arm's outcomes against its plan.

    Args:
        arms: of the table.
        design: what the study asked for; None for a table without one.
        lost_rows: rows of status `lost` that the table held.
        baseline: the method that stands first in its cell.
    """
    planned: dict[ArmName, int] = {}
    for asked in design.arms if design else ():
        key = (asked.dataset, asked.architecture, asked.method)
        planned[key] = planned.get(key, 0) + asked.draws
    nothing = dict.fromkeys(OUTCOMES, 0)
    by_name = {arm.name: dict(arm.outcomes) for arm in arms}
    accounts = [
        _account_arm(name, by_name.get(name, nothing), planned.get(name), design is not None)
        for name in arms_in_order(arms, design, baseline)
    ]
    known = [row.planned for row in accounts if row.planned is not None]
    return Accounting(
        arms=tuple(accounts),
        planned=sum(known) if design else None,
        total=sum(row.total for row in accounts),
        not_run=sum(row.not_run or 0 for row in accounts) if design else None,
        outcomes={status: sum(row.outcomes[status] for row in accounts) for status in OUTCOMES},
        lost_attempts=lost_rows + (design.lost_attempts if design else 0),
        set_aside=design.set_aside if design else 0,
        problems=tuple(row.problem for row in accounts if row.problem),
    )


def _account_arm(arm: ArmName, outcomes: dict[str, int], planned: int | None, has_design: bool) -> ArmAccount:
    total = sum(outcomes.values())
    name = " / ".join(arm)
    problem = ""
    if has_design and planned is None:
        problem = f"{name}: {total} trials of an arm that the study's design does not have."
    elif planned is not None and total > planned:
        problem = (
            f"{name}: {total} outcomes for {planned} planned trials, {total - planned} more than can be."
        )
    not_run = max(planned - total, 0) if planned is not None else (0 if has_design else None)
    failed = sum(outcomes[status] for status in FAILURES)
    return ArmAccount(*arm, planned, outcomes, failed, total, not_run, problem)
