"""Whether a method can be a control: what it does when it is told of an origin."""

from dataclasses import replace

import torch

from harness.records.record import Record
from harness.runs.origins import origin_outcome
from harness.runs.trial_runner import TrialRunner
from harness.sizing.base import Moment, Situation
from harness.sizing.origin import OriginOutcome
from harness.sizing.probe import Probe
from harness.study.plan import Plan, Trial


def as_control(runner: TrialRunner, trial: Trial, origin_plan: Plan) -> str:
    """What is wrong with a method as a control; empty if nothing is, or it looks at no origin.

    Args:
        runner: of the method's plan.
        trial: of that plan.
        origin_plan: of a study of the same cell, whose first trial loses units: the origin.
    """
    if not _looks_at_origin(runner, trial):
        return ""
    origin = _an_origin(origin_plan)
    first, second = (runner.run(trial, attempt=1, origin=origin) for _ in range(2))
    if first.status != "ok":
        return f"{first.status}: {first.message}"
    return "" if first.outcome() == second.outcome() else "two runs of one trial differ"


class _LookedError(BaseException):
    """The method looked at what it was told; no exception that it may catch itself."""


class _Unseen(OriginOutcome):
    """An outcome that gives itself away when it is looked at."""

    def __init__(self) -> None:
        """Nothing is to be seen."""

    def __getattribute__(self, name: str) -> object:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise _LookedError(name)


def _looks_at_origin(runner: TrialRunner, trial: Trial) -> bool:
    plan, unseen = runner.plan, _Unseen()
    arm = plan.arms[trial.arm]
    method, cell = plan.method(arm), replace(plan.cell(arm, trial.params), origin=unseen)
    split = runner.split(trial)
    torch.manual_seed(trial.seeds["init"])
    try:
        method.phases(trial.params, replace(plan.schedule(arm, trial.params), origin=unseen))
        network, state = method.build(cell, trial.params)
        for moment in (Moment(0, 0, 0, False, False), Moment(0, 1, 1, True, False)):
            probe = Probe(split.train, plan.study.training.batch_size, plan.objective)
            chance = torch.Generator().manual_seed(0)
            now = Situation(moment, network.eval(), state, trial.params, cell, probe, chance)
            state, _ = method.edits(now)
    except _LookedError:
        return True
    return False


def _an_origin(plan: Plan) -> OriginOutcome:
    trial = next(iter(plan.frozen.values()))[0]
    record: Record = TrialRunner(plan, None).run(trial, attempt=1)
    assert record.status == "ok", "a shipped method serves the cell that methods are tried on"
    return origin_outcome(plan, trial.id, {trial.id: record}.get)
