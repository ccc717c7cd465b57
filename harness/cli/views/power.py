"""What a plan can find: the chance of a saving that is truly there, before a minute is spent."""

from typing import TYPE_CHECKING

from harness.study.parts import StudyError
from harness.study.plan import Arm, Plan

if TYPE_CHECKING:
    from reports.arms.arm import Arm as JudgedArm


def power_lines(plan: Plan) -> tuple[str, ...]:
    """The chance to find the claim's saving in one cell, at the level that is shared by all comparisons.

    It is simulated from the claim's pilot; without one, from named pools of trials, which is a guess. Nothing
    is said where no arm beside the baseline has independent trials.

    Raises:
        StudyError: the pilot cannot be read, or holds no independent trials of the baseline.
    """
    pairs = _comparisons(plan)
    claim = plan.study.claim
    if not pairs:
        return ()
    trials = min(arm.trials for pair in pairs for arm in pair)
    asked = f"Power: a true saving of {claim.saving:g}×"
    if trials < 2 * claim.n:
        return (f"{asked} is never found with {trials} trials an arm: n = {claim.n} needs {2 * claim.n}.",)
    import numpy as np

    from reports.statistics.looks import spending
    from reports.statistics.pools import POOLS
    from reports.statistics.power import Pilot, saving_power
    from reports.wording import chance

    alpha = float(spending(claim.looks, 0.05)[-1]) if claim.looks else 0.05
    level, seed = 1 - alpha / len(pairs), plan.study.seeds.study

    def found(pilot: Pilot) -> float:
        return saving_power(pilot, trials, claim.n, claim.saving, level, np.random.default_rng(seed))

    among = f"{trials} trials an arm, among {len(pairs)} comparison{'s' if len(pairs) > 1 else ''}"
    if claim.pilot is None:
        shares = sorted(found(pool.pilot(seed)) for pool in POOLS)
        ends = dict.fromkeys((chance(shares[0]), chance(shares[-1])))
        names = "; ".join(pool.name for pool in POOLS)
        return (
            f"{asked} is found with probability {' to '.join(ends)} by {among}, "
            f"counted in trials. That is a guess, from {len(POOLS)} pools of trials ({names}); claim.pilot "
            "names a table or a run with trials of the baseline to plan by.",
        )
    told = []
    for arm in _pilot_arms(plan):
        costs = arm.costs.get(claim.cost) if claim.cost != "trials" else None
        share = found(Pilot(arm.validation, arm.test, arm.failed_score, costs))
        unit = "trials" if costs is None else claim.cost
        told.append(f"{arm.dataset}/{arm.architecture} {chance(share)} in {unit}")
    return (
        f"{asked} is found by {among}, from the pilot {claim.pilot}, with probability: {'; '.join(told)}.",
    )


def _comparisons(plan: Plan) -> list[tuple[Arm, Arm]]:
    """The baseline and a method of a claim in each cell, where the trials of both are independent."""
    arms = [arm for arm in plan.arms.values() if arm.sampling == "iid" and arm.origin is None]
    baselines = {(a.dataset, a.architecture): a for a in arms if a.method == plan.study.claim.baseline}
    return [
        (baseline, arm)
        for arm in arms
        if (baseline := baselines.get((arm.dataset, arm.architecture))) is not None and arm is not baseline
    ]


def _pilot_arms(plan: Plan) -> "list[JudgedArm]":
    """The baseline's arms of the pilot: of the cells of the study if it has any, else all."""
    from harness.results.tabulate import read_run
    from reports.arms.from_table import read_arms
    from reports.errors import TableError
    from reports.settings import Settings
    from reports.table.checks import check_table, score_columns
    from reports.table.reading import read_table
    from reports.table.scores import settle_scores

    claim = plan.study.claim
    path = plan.study.architectures[0].beside(claim.pilot or "")
    settings = Settings(failed_score=claim.failed_score)
    try:
        frame = read_run(path)[0] if path.is_dir() else read_table(path, score_columns(settings))
        [(_, frame)], settings = settle_scores([(str(path), frame)], settings)
        found = read_arms(check_table(frame, settings=settings, source=str(path)).trials, settings)
    except TableError as error:
        raise StudyError(f"claim.pilot: {error}") from error
    ours = [arm for arm in found if arm.method == claim.baseline and arm.is_independent and arm.trials > 1]
    if not ours:
        raise StudyError(f"claim.pilot: {path} has no independent trials of the baseline {claim.baseline}")
    cells = {(arm.dataset, arm.architecture) for arm in plan.arms.values()}
    return [arm for arm in ours if (arm.dataset, arm.architecture) in cells] or ours
