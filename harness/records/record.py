"""The record of a trial: what it was, how it went, what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from harness.search.space import Scalar
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size
from harness.sizing.ledger.sparse import Sparsity
from harness.trial_table import FAILURES

RECORD_VERSION = 1

Status = Literal["ok", "diverged", "collapsed", "out_of_memory", "timed_out", "stopped", "crashed"]


#: What a method has found stands in an event of its own, under this name.
NOTED = "noted"


@dataclass(frozen=True, slots=True)
class Event:
    """What edits changed: when (epoch and step, from 1) and a plain account of it.

    Or, under `NOTED` alone, what the method has found: what it is of -> name -> number.
    """

    epoch: int
    step: int
    account: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs apart. train_flops: analytic, 6 per multiply-accumulate and example, from the live widths.

    wait_seconds: from when the worker took the bundle. warm_up_seconds: data and network.
    train_seconds: steps and edits. evaluation_seconds: validation and test.
    device_share: CPU cores or share of the GPU the trial was given.
    peak_memory_bytes: of the GPU's allocator, or of the whole process; None in old records.
    latency_ms: batch size -> milliseconds of a forward pass of the selected network, gates folded in; empty
    unless the study asks; the timing itself is no cost of the trial. latency_failure: why a batch size that
    it asks for is not there.
    """

    wait_seconds: float
    warm_up_seconds: float
    train_seconds: float
    evaluation_seconds: float
    train_flops: int
    device: str
    device_share: float
    peak_memory_bytes: int | None = None
    latency_ms: Mapping[int, float] = field(default_factory=dict)
    latency_failure: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial went. Scores and the selected epoch are None unless the status is ok.

    message, traceback: empty if there is nothing to say. epochs_planned: as the method's phases say.
    start_size: of the network before its first step; None if it did not come to be measured.
    stop_reason: why the method ended the trial before its last epoch; empty if it did not.
    best_test_scores: epoch -> test score of each epoch that was the best so far; measured only where the
    study replays the arm under pruners, and read by nothing but that. notes: how it went otherwise than the
    study asked, in sentences. sparsity: of the selected network, where single weights of it were deleted.
    """

    status: Status
    epochs_planned: int
    message: str = ""
    traceback: str = ""
    epochs: Sequence[Epoch] = ()
    events: Sequence[Event] = ()
    start_size: Size | None = None
    selected_epoch: int | None = None
    val_score: float | None = None
    test_score: float | None = None
    stop_reason: str = ""
    best_test_scores: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sparsity: Sparsity | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a trial left: which it was, its outcome, its costs; flat, as it is written.

    `harness.records.making` puts it together.
    """

    trial_id: str
    arm: str
    replicate: int
    index: int
    pair_id: str | None
    params: dict[str, Scalar]
    seeds: dict[str, int]
    status: Status
    message: str
    traceback: str
    epochs: list[Epoch]
    events: list[Event]
    epochs_planned: int
    start_size: Size | None
    selected_epoch: int | None
    val_score: float | None
    test_score: float | None
    val_examples: int
    test_examples: int
    attempt: int
    costs: Costs
    provenance: dict[str, Any] = field(default_factory=dict)
    started_at: str = ""
    finished_at: str = ""
    stop_reason: str = ""
    best_test_scores: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    origin_trial_id: str | None = None
    repeat: int = 0
    sparsity: Sparsity | None = None
    version: int = RECORD_VERSION

    @property
    def has_failed(self) -> bool:
        """Whether the trial came to nothing. One that a pruner stopped has not: it is what it was by then."""
        return self.status in FAILURES

    @property
    def was_begun(self) -> bool:
        """Whether the trial was run: one whose origin failed may have that for its outcome, and no costs."""
        return self.costs.warm_up_seconds > 0

    @property
    def selected_size(self) -> Size | None:
        """The size of the network at the selected epoch."""
        return None if self.selected_epoch is None else self.epochs[self.selected_epoch - 1].size

    def outcome(self) -> dict[str, Any]:
        """What the trial gave, without what differs between runs of the same plan: times and machines."""
        fields = asdict(self)
        for name in ("attempt", "provenance", "started_at", "finished_at", "traceback"):
            del fields[name]
        fields["costs"] = {"train_flops": self.costs.train_flops}
        fields["epochs"] = [epoch.outcome() for epoch in self.epochs]
        return fields
