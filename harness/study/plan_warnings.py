"""What a careful reviewer would say of a plan before it runs."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.search.space import domain_text

if TYPE_CHECKING:
    from harness.study.plan import Arm
    from harness.study.schema import Study

#: Whole searches needed before a permutation between them can reach p < 0.05 in either direction (5 v 5).
_SEARCHES_NEEDED = 5


def plan_warnings(study: "Study", arms: "Sequence[Arm]") -> tuple[str, ...]:
    """Sentences on what makes the study's arms unlike each other or too small, one finding each."""
    found = []
    for first, second in itertools.combinations(arms, 2):
        if (first.dataset, first.architecture) == (second.dataset, second.architecture):
            found += _differences(first, second)
    for arm in arms:
        if arm.sampling == "adaptive" and arm.sampler.replicates < _SEARCHES_NEEDED:
            found.append(
                f"{arm.key}: {arm.sampler.name} makes one search of {arm.trials} trials, replicated "
                f"{arm.sampler.replicates} time(s); to compare searches {_SEARCHES_NEEDED} are needed"
            )
        elif arm.sampling == "iid" and 2 * study.claim.n > arm.trials:
            found.append(
                f"{arm.key}: {arm.trials} trials are too few to speak of the best of n = {study.claim.n}; "
                f"at least {2 * study.claim.n} are needed, better {10 * study.claim.n}"
            )
    return tuple(dict.fromkeys(found))


def _differences(first: "Arm", second: "Arm") -> list[str]:
    where = f"{first.dataset}/{first.architecture}"
    found = []
    for name in first.space.keys() & second.space.keys():
        a, b = first.space[name], second.space[name]
        if a != b:
            found.append(
                f"{where}: {first.method} and {second.method} draw {name} from different ranges: "
                f"{domain_text(a)} and {domain_text(b)}"
            )
    unequal = {
        layer: (first.reach[layer], second.reach[layer])
        for layer in first.reach.keys() & second.reach.keys()
        if first.reach[layer][1] != second.reach[layer][1]
    }
    if unequal:
        layers = ", ".join(f"{layer} {a[1]} and {b[1]}" for layer, (a, b) in sorted(unequal.items()))
        found.append(
            f"{where}: {first.method} and {second.method} cannot reach the same sizes; "
            f"largest number of units: {layers}"
        )
    if first.trials != second.trials:
        found.append(
            f"{where}: {first.method} has {first.trials} trials, {second.method} has {second.trials}"
        )
    if first.sampling != second.sampling:
        found.append(
            f"{where}: {first.method} is sampled {first.sampling}, {second.method} {second.sampling}; "
            "formulas for independent trials do not hold between them"
        )
    return sorted(found)
