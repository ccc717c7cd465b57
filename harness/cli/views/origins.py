"""What of a plan depends on what: which arms begin from the trials of which."""

from collections.abc import Iterator

from harness.study.plan import Plan


def origin_lines(plan: Plan) -> Iterator[str]:
    """A sentence for each arm that begins from another's trials, and one for what cannot be foretold."""
    controls = [arm for arm in plan.arms.values() if arm.origin is not None]
    for arm in controls:
        assert arm.origin is not None, "these have one"
        shared = [name for name in arm.space if name in plan.arms[arm.origin].space]
        values = f", with its {', '.join(shared)}" if shared else ""
        yield (
            f"{arm.key} begins from {arm.origin}: each of its {arm.planned_trials} trials starts when the "
            f"trial of {arm.origin} with its number is done{values}."
        )
    if controls:
        yield (
            "What such trials will start with depends on what they begin from; networks and FLOPs above are "
            "those of their methods without it."
        )
