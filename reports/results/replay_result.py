"""What a replayed arm comes to: its search under a pruner beside the same search without one."""

from dataclasses import dataclass

from reports.results.estimate import Estimate


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """A search under a pruner over all trials of the arm, one after the other as they were planned.

    test: of the incumbent at the end. cost: paid for all trials, in the replay's unit. stopped, finished,
    failed: numbers of trials. unpruned: the same search without the pruner.
    """

    test: float
    cost: float
    stopped: int
    finished: int
    failed: int
    unpruned_test: float
    unpruned_cost: float
    sentence: str


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """A search under a pruner, replayed. Lists have an entry a budget.

    unit: of the budgets, "epochs" or a cost. pruned, unpruned: expected test score of the incumbent. begun:
    mean number of trials begun. budget: that which is judged, of n full trials; difference: there, pruned
    less unpruned, positive where pruning is better, with limits adjusted for all replays of the report.
    plan_order: None where refused. refusal: why there are no numbers; "" if there are. cautions: where limits
    are rough or missing, and budgets left out; sentences.
    """

    dataset: str
    architecture: str
    method: str
    replay_of: str
    pruner: str
    unit: str
    n: int
    trials: int
    budgets: tuple[float, ...]
    pruned: tuple[Estimate, ...]
    unpruned: tuple[Estimate, ...]
    begun_pruned: tuple[float, ...]
    begun_unpruned: tuple[float, ...]
    budget: float | None
    difference: Estimate | None
    verdict: str
    sentence: str
    plan_order: PlanOrder | None = None
    refusal: str = ""
    cautions: tuple[str, ...] = ()
