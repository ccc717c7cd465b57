"""Trial accounting: what was planned, what became of it, and whether the two agree."""

from dataclasses import dataclass

import pandas as pd

from harness.trial_table import OUTCOMES, StudyDesign

Arm = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ArmAccount:
    """One arm's trials.

    Attributes:
        planned: trials the study asked for; None where no plan is known.
        outcomes: trials by status, in the order of `OUTCOMES`, zeros kept.
        total: all outcomes together.
        not_run: planned trials without an outcome yet; None where no plan is known.
        problem: one sentence where the numbers do not add up, else "".
    """

    dataset: str
    architecture: str
    method: str
    planned: int | None
    outcomes: dict[str, int]
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
        set_aside: damaged records that were put aside.
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


def arms_in_order(trials: pd.DataFrame, design: StudyDesign | None, baseline: str) -> list[Arm]:
    """Every arm of the design and the table, cell by cell, the baseline first in its cell."""
    planned: list[Arm] = [(a.dataset, a.architecture, a.method) for a in design.arms] if design else []
    names = trials[["dataset", "architecture", "method"]].drop_duplicates()
    found: list[Arm] = sorted((str(d), str(a), str(m)) for d, a, m in names.to_numpy())
    arms = list(dict.fromkeys(planned + found))
    cells = list(dict.fromkeys(arm[:2] for arm in arms))
    methods = list(dict.fromkeys(arm[2] for arm in arms))
    return sorted(arms, key=lambda arm: (cells.index(arm[:2]), arm[2] != baseline, methods.index(arm[2])))


def account(trials: pd.DataFrame, design: StudyDesign | None, lost_rows: int, baseline: str) -> Accounting:
    """Counts every arm's outcomes against its plan.

    Args:
        trials: the outcomes, checked.
        design: what the study asked for; None for a table without one.
        lost_rows: rows of status `lost` that the table held.
        baseline: the method that stands first in its cell.
    """
    planned: dict[Arm, int] = {}
    for arm in design.arms if design else ():
        key = (arm.dataset, arm.architecture, arm.method)
        planned[key] = planned.get(key, 0) + arm.trials * arm.replicates
    counts = trials.groupby(["dataset", "architecture", "method"])["status"].value_counts().to_dict()
    accounts = []
    for arm_key in arms_in_order(trials, design, baseline):
        outcomes = {status: int(counts.get((*arm_key, status), 0)) for status in OUTCOMES}
        accounts.append(
            _account_arm(arm_key, outcomes, planned.get(arm_key) if design else None, design is not None)
        )
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


def _account_arm(arm: Arm, outcomes: dict[str, int], planned: int | None, has_design: bool) -> ArmAccount:
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
    return ArmAccount(*arm, planned, outcomes, total, not_run, problem)
