"""What a study asked for: plain data beside the trial table, shared by `harness` and `reports`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Names of parameters that a study may search in any arm, beside what its method searches. The last is what
#: the names of options of architectures begin with.
LEARNING_RATE, BATCH_SIZE, OF_ARCHITECTURE = "learning_rate", "batch_size", "architecture."


@dataclass(frozen=True, slots=True)
class ArmDesign:
    """What one arm was asked to do.

    space: parameter name -> {"type", "low", "high", "log"} or {"choice": [...]}.
    reach: sized layer -> [smallest, largest] number of units that the arm can end with.
    trials: points drawn in each replicate. repeats: how often each is trained.
    origin: the arm whose trials those of this one begin from, as "dataset/architecture/method".
    sampler_options: every option of the sampler, as it stood when the run was begun; plans of version 1 and 2
    hold none.
    epochs: what the study asks for. epochs_planned, examples: what the method makes of it, least and most
    of a trial: measured intervals, and examples trained on. start_flops: least, median, most training FLOPs
    of a trial had its network kept its starting size; it is known of trials that were started, so it stands
    in no plan. None in older plans, and for controls.
    pruner: of a search that learns, {"name", "options"}; its trials are told as it would have stopped them.
    registered: name that the method is registered under. controls: registered names of the methods that a
    claim for it needs beside it, begun from its trials. Older plans hold neither.
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
    origin: str | None = None
    sampler_options: dict[str, Any] = field(default_factory=dict)
    epochs_planned: tuple[int, int] | None = None
    examples: tuple[int, int] | None = None
    start_flops: tuple[float, float, float] | None = None
    repeats: int = 1
    pruner: dict[str, Any] | None = None
    registered: str = ""
    controls: tuple[str, ...] = ()

    @property
    def draws(self) -> int:
        """Points drawn in all its searches: what judgements are made of."""
        return self.trials * self.replicates

    @property
    def planned_trials(self) -> int:
        """Trials of all its searches, repeats included."""
        return self.draws * self.repeats

    def asked(self) -> dict[str, Any]:
        """What was asked for, without what follows from it: what must be equal for two arms to be one."""
        derived = (
            "sampler_options",
            "epochs_planned",
            "examples",
            "start_flops",
            "registered",
            "controls",
        )
        return {name: value for name, value in asdict(self).items() if name not in derived}


@dataclass(frozen=True, slots=True)
class ReplayDesign:
    """An arm that trains nothing: the search of another of its cell, as it would have been under a pruner.

    replay_of: method of the arm whose trials are replayed. pruner: {"name", "options", "study_name"} by
    Optuna's names, all options written out; the study's name decides Hyperband's brackets.
    """

    dataset: str
    architecture: str
    method: str
    replay_of: str
    pruner: dict[str, Any]
    sampling: str = "pruned"

    @property
    def pruner_text(self) -> str:
        """The pruner in words, with every option."""
        return pruner_text(self.pruner)


def pruner_text(pruner: Mapping[str, Any]) -> str:
    """A pruner, {"name", "options"}, in words, with every option."""
    said = (
        f"{option}={pruner_text(value) if isinstance(value, Mapping) else value}"
        for option, value in pruner["options"].items()
    )
    return f"{pruner['name']}({', '.join(said)})"


@dataclass(frozen=True, slots=True)
class Claim:
    """The one claim fixed before running: at which n, in which unit of cost, against which baseline.

    cost: "trials" or a cost column of the table ("train_flops", "train_seconds", ...).
    margin: how much worse still counts as on par, in units of the score.
    saving: that power is told for: the chance to find it, if it is there.
    looks: trials of an arm at which verdicts are looked at, the last with all; empty: once, at the end.
    """

    baseline: str
    n: int
    cost: str
    margin: float = 0.0
    saving: float = 2.0
    looks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """What trials are judged by. One whose name ends in "accuracy" is a share from 0 to 1.

    failed: data set -> what a failed trial counts as; none where that was not settled before running.
    """

    name: str = "accuracy"
    higher_is_better: bool = True
    failed: dict[str, float] = field(default_factory=dict)


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
    set_aside: int = 0  # records that were put aside, damaged or of another plan
    score: Score = field(default_factory=Score)
    replays: tuple[ReplayDesign, ...] = ()


def span_text(span: tuple[float, float]) -> str:
    """Least and most as a reader wants them: '2,301', or '1,150-2,301'."""
    return f"{span[0]:,}" if span[0] == span[1] else f"{span[0]:,}-{span[1]:,}"


def score_text(score: float) -> str:
    """A score as a reader wants it: '0.9731'; of small ones their digits, '2.526e-05'."""
    return f"{score:.4f}" if score == 0 or abs(score) >= 0.01 else f"{score:.3e}"


def space_text(space: Mapping[str, Any]) -> str:
    """A search range of an `ArmDesign` as a reader wants it: '16-4096 (log)'."""
    if "choice" in space:
        return ", ".join(str(option) for option in space["choice"])
    return f"{space['low']:g}-{space['high']:g}{' (log)' if space['log'] else ''}"
