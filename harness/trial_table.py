"""The trial table: one row a trial, the only thing that `harness` and `reports` share.

This module imports neither package. `harness` writes tables with these columns; `reports` judges any
table that has the required ones, whoever made it. What both object to in a design stands here too, so that a
plan and a page have one rule for it.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 1

#: Statuses that are outcomes of a trial: they stay in the table and are counted. `lost` is not one: the
#: trial's worker died, the trial runs again.
OUTCOMES = ("ok", "diverged", "collapsed", "out_of_memory", "timed_out", "stopped", "crashed")

#: Outcomes that are failures of the method. A trial that was `stopped` (by a pruner, or by hand) is none: it
#: has the score and the cost that it had when it was stopped.
FAILURES = ("diverged", "collapsed", "out_of_memory", "timed_out", "crashed")

#: How an arm's points were chosen: independent draws from one space; a design (grid, quasi-random); a search
#: in which later points depend on earlier results; or draws of which some were stopped for what others had
#: reached ("pruned"). Only the first are independent of each other.
SAMPLINGS = ("iid", "design", "adaptive", "pruned")
#: Samplings in which trials depend on each other within their search: only whole searches can be compared.
SEARCHED = ("adaptive", "pruned")

#: Independent trials an arm needs for each of n: a two-sided distribution-free limit of the median best of n
#: exists from ln .025 / ln .5 on. To find a difference takes about `TRIALS_TO_DIFFER` for each of n.
TRIALS_PER_N = 5.32
TRIALS_TO_DIFFER = 10
#: Whole searches an arm needs: with 4 against 4 no permutation between them can reach p = .01.
FEWEST_SEARCHES = 5

Kind = Literal["text", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the kind of its values, whether a table must have it, its meaning."""

    name: str
    kind: Kind
    required: bool
    meaning: str


COLUMNS = (
    Column("dataset", "text", True, "name of the data set"),
    Column("architecture", "text", True, "label of the network family; with the data set it makes the cell"),
    Column("method", "text", True, "label of the sizing method; with the cell it makes the arm"),
    Column("val_accuracy", "number", True, "validation score at the selected epoch, 0 to 1; empty if none"),
    Column("test_accuracy", "number", True, "test score at the selected epoch, 0 to 1; empty if none"),
    Column("study", "text", False, "name of the study"),
    Column("trial_id", "text", False, "hash of what defines the trial; unique in the table"),
    Column("index", "integer", False, "position of the trial in its arm's order of drawing, from 0"),
    Column("status", "text", False, f"one of {', '.join(OUTCOMES)}"),
    Column("sampling", "text", False, f"one of {', '.join(SAMPLINGS)}"),
    Column("sampler", "text", False, "the sampler with its options"),
    Column("replicate", "integer", False, "number of the whole search this trial belongs to, from 0"),
    Column(
        "pair_id", "text", False, "same in two arms: the trials share draws and seeds, so they are paired"
    ),
    Column("attempt", "integer", False, "1, or more where earlier attempts were lost with their worker"),
    Column("split_seed", "integer", False, "seed of the validation split"),
    Column("epochs_planned", "integer", False, "epochs asked for"),
    Column("epochs_run", "integer", False, "epochs really trained"),
    Column("selected_epoch", "integer", False, "epoch of the best validation score, from 1; empty if none"),
    Column(
        "size_settled", "text", False, "yes or no: whether the size had converged; empty if too short to say"
    ),
    Column("parameters", "integer", False, "parameters of the selected network, gates folded in"),
    Column("nonzeros", "integer", False, "parameters of the selected network that are not zero"),
    Column("macs", "integer", False, "multiply-accumulates of the selected network for one example"),
    Column("start_parameters", "integer", False, "parameters of the network before its first step"),
    Column("units", "text", False, "JSON object: units of each sized layer of the selected network"),
    Column("train_flops", "number", False, "floating-point operations of training, from the live widths"),
    Column("wait_seconds", "number", False, "from the start of the bundle to the start of the trial"),
    Column("warm_up_seconds", "number", False, "loading data and building the network"),
    Column("train_seconds", "number", False, "training steps and edits"),
    Column("evaluation_seconds", "number", False, "validation and test scoring"),
    Column("device", "text", False, "device the trial ran on, with its model name"),
    Column("device_share", "number", False, "share of the device (or CPU cores) the trial was given"),
    Column("joules", "number", False, "energy of the trial, where measured"),
    Column("n_val", "integer", False, "examples behind the validation score"),
    Column("n_test", "integer", False, "examples behind the test score"),
    Column("message", "text", False, "what went wrong, for a trial that is not ok"),
    Column("table_version", "integer", False, "version of these columns; a table without one is anyone's"),
)
#: Further columns are allowed: `param_NAME` (a searched value) is known to the report.
PARAMETER_PREFIX = "param_"


@dataclass(frozen=True, slots=True)
class ArmDesign:
    """What one arm was asked to do.

    space: parameter name -> {"type", "low", "high", "log"} or {"choice": [...]}.
    reach: sized layer -> [smallest, largest] number of units that the arm can end with.
    """

    dataset: str
    architecture: str
    method: str
    sampler: str
    sampling: str
    trials: int
    epochs: int
    space: dict[str, dict[str, Any]]
    reach: dict[str, tuple[int, int]]
    replicates: int = 1


@dataclass(frozen=True, slots=True)
class Claim:
    """The one claim fixed before running: at which n, in which unit of cost, against which baseline.

    cost: "trials" or a cost column of the table ("train_flops", "train_seconds", ...).
    margin: how much worse still counts as on par, in units of the score.
    """

    baseline: str
    n: int
    cost: str
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class StudyDesign:
    """What a study asked for, as far as a report shows or checks it. Plain data, JSON-ready."""

    name: str
    description: str
    arms: tuple[ArmDesign, ...]
    claim: Claim
    paired: bool
    settings: dict[str, str] = field(default_factory=dict)  # label -> text, for the design card
    warnings: tuple[str, ...] = ()  # what the plan already warned of
    lost_attempts: int = 0
    set_aside: int = 0  # damaged records that were put aside


@dataclass(frozen=True, slots=True)
class DesignWarning:
    """One thing that makes a design's arms unlike each other or too small.

    kind: "spaces", "reach", "unequal", "sampling", "searches" or "few". sentence: as a plan says it.
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
        if (first.dataset, first.architecture) == (second.dataset, second.architecture):
            found += _differences(first, second)
    found += [warning for arm in arms for warning in _too_small(arm, n)]
    return tuple(dict.fromkeys(found))


def _too_small(arm: ArmDesign, n: int) -> list[DesignWarning]:
    if arm.sampling in SEARCHED and arm.replicates < FEWEST_SEARCHES:
        kind = "searches"
        said = (
            f"{arm.sampler.partition('(')[0]} makes one search of {arm.trials} trials, replicated "
            f"{arm.replicates} time(s); to compare searches {FEWEST_SEARCHES} are needed"
        )
    elif arm.sampling == "iid" and arm.trials * arm.replicates < fewest_trials(n):
        kind = "few"
        said = (
            f"{arm.trials * arm.replicates} trials are too few to speak of the best of n = {n}; at least "
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
    unequal = {
        layer: (first.reach[layer][1], second.reach[layer][1])
        for layer in first.reach.keys() & second.reach.keys()
        if first.reach[layer][1] != second.reach[layer][1]
    }
    if unequal:
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


def space_text(space: Mapping[str, Any]) -> str:
    """A search range of an `ArmDesign` as a reader wants it: '16-4096 (log)'."""
    if "choice" in space:
        return ", ".join(str(option) for option in space["choice"])
    return f"{space['low']:g}-{space['high']:g}{' (log)' if space['log'] else ''}"
