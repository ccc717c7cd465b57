"""What a careful reviewer would say of a design before it runs: one rule for the plan and for the page."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.design import BATCH_SIZE, LEARNING_RATE, OF_ARCHITECTURE, ArmDesign, space_text, span_text
from harness.trial_table import SEARCHED

#: Independent trials an arm needs for each of n: a two-sided distribution-free limit of the median best of n
#: exists from ln .025 / ln .5 on.
TRIALS_PER_N = 5.32

#: What is advised for each of n: limits are sound then. What they find is told by the power of a plan.
TRIALS_TO_DIFFER = 10


#: Whole searches an arm needs: with 4 against 4 no permutation between them can reach p = .01.
FEWEST_SEARCHES = 5


@dataclass(frozen=True, slots=True)
class DesignWarning:
    """One thing that makes a design's arms unlike each other or too small.

    kind: "spaces", "reach", "unequal", "sampling", "epochs", "searches", "few" or "controls".
    dataset, architecture: "" where it holds for all cells. sentence: as a plan says it.
    """

    kind: str
    dataset: str
    architecture: str
    sentence: str


def fewest_trials(n: int) -> int:
    """Independent trials below which an arm has too few to speak of the best of n."""
    return math.ceil(TRIALS_PER_N * n)


def design_warnings(arms: Sequence[ArmDesign], n: int) -> tuple[DesignWarning, ...]:
    """All that makes the arms unlike each other or too small for the best of n, one finding each."""
    found = []
    for first, second in itertools.combinations(arms, 2):
        if are_compared(first, second):
            found += _differences(first, second)
    cells: dict[tuple[str, str], list[ArmDesign]] = {}
    for arm in arms:
        cells.setdefault((arm.dataset, arm.architecture), []).append(arm)
    found += [warning for cell in cells.values() for warning in _unlike_lengths(cell)]
    found += [warning for arm in arms for warning in _too_small(arm, n)]
    found += _without_controls(arms)
    return tuple(dict.fromkeys(found))


def are_compared(first: ArmDesign, second: ArmDesign) -> bool:
    """Whether two arms are to be alike: those of a cell; a control is held against its origin alone."""
    if (first.dataset, first.architecture) != (second.dataset, second.architecture):
        return False
    names = [f"{arm.dataset}/{arm.architecture}/{arm.method}" for arm in (first, second)]
    return {first.origin, second.origin} <= {None, *names}


def _without_controls(arms: Sequence[ArmDesign]) -> list[DesignWarning]:
    """Methods whose claim needs controls that no cell has: one warning each."""
    present = {(arm.origin, arm.registered) for arm in arms if arm.origin is not None}
    lacking: dict[str, dict[str, None]] = {}
    for arm in arms:
        name = f"{arm.dataset}/{arm.architecture}/{arm.method}"
        missing = [control for control in arm.controls if (name, control) not in present]
        lacking.setdefault(arm.method, {}).update(dict.fromkeys(missing))
    return [
        DesignWarning(
            "controls",
            "",
            "",
            f"{method} has no controls ({', '.join(missing)}): what it gains may be due to what they do as "
            "well; `controls: all` adds them",
        )
        for method, missing in lacking.items()
        if missing
    ]


def _unlike_lengths(cell: Sequence[ArmDesign]) -> list[DesignWarning]:
    """Arms that do not train as long as most of their cell; the shorter length counts as most on ties."""
    lengths = {  # of controls it is not known yet
        arm.method: (arm.examples, arm.epochs_planned)
        for arm in cell
        if arm.examples is not None and arm.epochs_planned is not None
    }
    counts = Counter(lengths.values())
    usual = min(counts, key=lambda length: (-counts[length], length), default=None)
    like = next((method for method, length in lengths.items() if length == usual), None)
    found = []
    for arm in cell:
        if usual is None or arm.method not in lengths or lengths[arm.method] == usual:
            continue
        examples, epochs = lengths[arm.method]
        said = (
            f"{arm.dataset}/{arm.architecture}: {arm.method} trains for {span_text(epochs)} epochs on "
            f"{span_text(examples)} examples a trial, {like} for {span_text(usual[1])} on "
            f"{span_text(usual[0])}"
        )
        if 0 < usual[0][1] != examples[1]:
            up_to = "" if examples[0] == examples[1] else "up to "
            said += f", {up_to}{examples[1] / usual[0][1]:.3g} x as long"
        said += f"; the study asks for {arm.epochs} epochs"
        found.append(DesignWarning("epochs", arm.dataset, arm.architecture, said))
    return found


def _too_small(arm: ArmDesign, n: int) -> list[DesignWarning]:
    if arm.sampling in SEARCHED and arm.replicates < FEWEST_SEARCHES:
        kind = "searches"
        said = (
            f"{arm.sampler.partition('(')[0]} makes one search of {arm.trials} trials, replicated "
            f"{arm.replicates} time(s); to compare searches {FEWEST_SEARCHES} are needed"
        )
    elif arm.sampling == "iid" and arm.draws < fewest_trials(n):
        kind = "few"
        said = (
            f"{arm.draws} {'trial is' if arm.draws == 1 else 'trials are'} too few to speak of the best of "
            f"n = {n}; at least "
            f"{fewest_trials(n)} are needed, better {TRIALS_TO_DIFFER * n}"
        )
    else:
        return []
    name = f"{arm.dataset}/{arm.architecture}/{arm.method}"
    return [DesignWarning(kind, arm.dataset, arm.architecture, f"{name}: {said}")]


def _differences(first: ArmDesign, second: ArmDesign) -> list[DesignWarning]:
    found = []
    for name in sorted(first.space.keys() & second.space.keys()):
        if first.space[name] != second.space[name]:
            ranges = f"{space_text(first.space[name])} and {space_text(second.space[name])}"
            said = f"{first.method} and {second.method} draw {name} from different ranges: {ranges}"
            found.append(("spaces", said))
    for one, other in ((first, second), (second, first)):
        for name in sorted(one.space.keys() - other.space.keys()):
            if name in (LEARNING_RATE, BATCH_SIZE) or name.startswith(OF_ARCHITECTURE):
                said = f"{one.method} searches {name}, {other.method} does not"
                found.append(("spaces", said))
    unequal = {
        layer: (first.reach[layer][1], second.reach[layer][1])
        for layer in first.reach.keys() & second.reach.keys()
        if first.reach[layer][1] != second.reach[layer][1]
    }
    # What a control reaches is up to what its origin has reached.
    if unequal and first.origin is second.origin is None:
        layers = ", ".join(f"{layer} {a} and {b}" for layer, (a, b) in sorted(unequal.items()))
        said = f"{first.method} and {second.method} cannot reach the same sizes; largest number of units: "
        found.append(("reach", said + layers))
    if first.trials != second.trials:
        said = f"{first.method} has {first.trials} trials, {second.method} has {second.trials}"
        found.append(("unequal", said))
    if first.sampling != second.sampling:
        said = (
            f"{first.method} is sampled {first.sampling}, {second.method} {second.sampling}; "
            "formulas for independent trials do not hold between them"
        )
        found.append(("sampling", said))
    place = first.dataset, first.architecture
    # In the order of their sentences.
    found.sort(key=lambda each: each[1])
    return [DesignWarning(kind, *place, f"{'/'.join(place)}: {said}") for kind, said in found]
