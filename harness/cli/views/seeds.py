"""What of a plan is trained more than once, and on which splits."""

from collections.abc import Iterator

from harness.study.plan import Plan
from harness.study.seeds import splits_text


def seed_lines(plan: Plan) -> Iterator[str]:
    """A sentence on repeats and one on splits, of studies that ask for more than one."""
    seeds = plan.study.seeds
    if seeds.repeats > 1:
        points = sum(arm.trials * arm.replicates for arm in plan.arms.values())
        yield (
            f"Each of {points} points is trained {seeds.repeats} times, {plan.planned_trials} trials in all; "
            "repeats tell how much is luck, and verdicts are made of the first training of each point."
        )
    if seeds.splits > 1:
        yield (
            f"Trials are dealt over {splits_text(seeds)}: independent draws one by one, searches and "
            "designs a replicate each."
        )
