"""What would settle an open question: the chance that so many trials find a saving fixed beforehand."""

from functools import lru_cache

import numpy as np

from reports.arms.arm import Arm
from reports.comparison.evidence import Evidence
from reports.cost_units import TRIALS
from reports.results.contrast import Settle
from reports.scope import Scope
from reports.statistics.power import Pilot, saving_power
from reports.wording import chance, number

#: Multiples of the present number of trials that are looked at, as long as they times n are few enough.
GROWTHS, MOST_RANKS = (1, 2, 4), 500_000


def settle(evidence: Evidence, comparisons: int, scope: Scope) -> Settle | None:
    """The chance to find the claim's saving with the trials there are, and with more.

    It rests on the baseline's trials alone, not on what was found: what was found is where luck went, and
    "so many trials would do if the estimates stay" was right in half of the cases.

    Args:
        evidence: of the open question.
        comparisons: how many share alpha.
        scope: names the saving that is looked for.

    Returns:
        None where trials depend on each other: nothing is simulated for them.
    """
    base, method = evidence.baseline, evidence.method
    if base is None or evidence.paired or not (base.arm.is_independent and method.arm.is_independent):
        return None
    present = min(method.arm.trials, base.arm.trials)
    counts = (growth * present for growth in GROWTHS)
    trials = tuple(count for count in counts if 2 * scope.n <= count <= MOST_RANKS / scope.n)
    if not trials:
        return None
    level = 1 - scope.alpha / comparisons
    found = _chances(base.arm, trials, scope.n, scope.cost, scope.saving, level, scope.seed)
    shares = [f"{chance(share)} with {count:,}" for share, count in zip(found, trials, strict=True)]
    return Settle(
        scope.saving,
        trials,
        found,
        f"What would settle it: a true saving of {number(scope.saving, 2)}× is found with probability "
        f"{', '.join(shares)} trials an arm (simulated from the trials of {base.arm.method}).",
    )


@lru_cache(maxsize=32)
def _chances(
    arm: Arm, trials: tuple[int, ...], n: int, unit: str, saving: float, level: float, seed: int
) -> tuple[float, ...]:
    """The chance for each number of trials; kept, as all methods of a cell ask the same."""
    pilot = Pilot(arm.validation, arm.test, arm.failed_score, None if unit == TRIALS else arm.costs[unit])
    generator = arm.generator(seed, "power")
    found = (saving_power(pilot, count, n, saving, level, generator) for count in trials)
    return tuple(float(np.round(share, 3)) for share in found)
