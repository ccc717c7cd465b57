"""Holds a sizing method against the contract in `harness.sizing.base`, on a small network and digits.

The network is an MLP; of a method that refuses those, one with a residual block.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from harness.datasets import prepare
from harness.registry import make_method
from harness.runs.trial_runner import TrialRunner
from harness.search.samplers import draw_frozen
from harness.search.space import Choice, Float, Int
from harness.sizing.base import Moment, Schedule, Situation, SizingMethod, checked_phases
from harness.sizing.probe import Probe
from harness.study.parts import StudyError
from harness.study.plan import Arm, Plan, Trial
from harness.study.planning import make_plan
from harness.study.schema import Study
from harness.testing.findings import Finding, found
from harness.testing.networks import OF_ONE_SIZE, RESIDUAL, offered
from harness.testing.origins import as_control
from harness.testing.randomness import asked
from harness.training.surroundings import changes_since, kept, settings

_EPOCHS = 4
_WIDTHS = {"low": 4, "high": 12}
_PHASES = "phases: asked for 1 epoch or more, at least one phase, with epochs, one of them selectable"
_OTHER = "with batch normalisation, dropout and a residual block"


def check_method(name: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Every rule a sizing method must keep, and whether the registered method of that name does.

    Raises:
        UnknownNameError, ValueError: if there is no such method, or it does not take the options.
    """
    method = make_method(name, options or {})  # a wrong name or option is the caller's fault
    with offered():
        try:
            plan = _plan_where_it_works(name, dict(options or {}))
        except StudyError as error:
            return [Finding("planning: a study that names it can be planned", str(error))]
        return [
            found(_PHASES, lambda: _phases(method, plan)),
            *_Check(plan).run(),
            *_on_another_network(name, dict(options or {})),
            found(
                "planning without sized layers: works, or is refused by its check",
                lambda: _without_layers(name, dict(options or {})),
            ),
        ]


@kept()
def _plan_for(name: str, options: dict[str, Any], family: str = "mlp", epochs: int = _EPOCHS) -> Plan:
    of = "shrinknets" if make_method(name, options).needs_origin else None
    origins = [] if of is None else [of]
    study = Study.model_validate(
        {
            "name": "conformance",
            "datasets": ["digits"],
            "architectures": [{"name": family, "widths": None if family == OF_ONE_SIZE else _WIDTHS}],
            "methods": [*origins, {"name": name, "options": options, "of": of}],
            "trials": 2,
            "training": {"epochs": epochs, "batch_size": 64},
            "claim": {"baseline": name, "n": 1},
        }
    )
    return make_plan(study, "conformance", lambda spec: prepare(spec, None))


def _plan_where_it_works(name: str, options: dict[str, Any]) -> Plan:
    """A plan for an MLP; where the method's check refuses that, for a network with a residual block."""
    try:
        return _plan_for(name, options)
    except StudyError as error:
        if not _is_refusal(error):
            raise
        return _plan_for(name, options, RESIDUAL)


def _is_refusal(error: StudyError) -> bool:
    """Whether a method has said itself that it cannot work in a cell."""
    return isinstance(error.__cause__, ValueError) and error.__cause__.__cause__ is None


def _arm_of(plan: Plan) -> Arm:
    """The arm of the method under examination; before it comes the one that a control begins from."""
    return list(plan.arms.values())[-1]


def _on_another_network(name: str, options: dict[str, Any]) -> list[Finding]:
    """What a network may break that an MLP does not."""
    try:
        plan = _plan_for(name, options, RESIDUAL, epochs=1)
    except StudyError as error:
        return [Finding(f"planning {_OTHER}, for one epoch: works", str(error))]
    return _Check(plan).run_other()


def _without_layers(name: str, options: dict[str, Any]) -> str:
    try:
        _plan_for(name, options, OF_ONE_SIZE)
    except StudyError as error:
        return "" if _is_refusal(error) else str(error)
    return ""


def _phases(method: SizingMethod, plan: Plan) -> str:
    arm = _arm_of(plan)
    params = plan.frozen[arm.key, 0][0].params
    for epochs in (1, 2, _EPOCHS):
        schedule = Schedule(epochs, plan.study.training.optimizer.learning_rate)
        try:
            checked_phases(method.phases(params, schedule))
        except (TypeError, ValueError) as error:
            return f"asked for {epochs} epochs: {error}"
    return asked(method.phases, params, plan.schedule(arm, params))[1]


class _Check:
    """One method under examination."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.arm: Arm = _arm_of(plan)
        self.trials: tuple[Trial, ...] = plan.frozen[self.arm.key, 0]
        self.method: SizingMethod = plan.method(self.arm)
        self.cell = plan.cell(self.arm, self.trials[0].params)
        self.runner = TrialRunner(plan, None)
        self.runner.prepare_worker()

    def run(self) -> list[Finding]:
        return [
            found("space: every value is a Float, an Int or a Choice; draws no random numbers", self._space),
            found("reach: every sized layer, smallest at most largest", self._reach),
            found("start_sizes: every sized layer, and what build builds", self._start_sizes),
            found("build: the same seed gives the same network", self._build),
            found("penalty: a scalar, pure, the same for a stack of trials under vmap", self._penalty),
            found("penalty_gradient: the gradient of the penalty", self._penalty_gradient),
            found("after_step: known names, same shapes, pure", self._after_step),
            found("edits: leave the network and all global generators alone", self._edits),
            found("training ends ok, within reach, and twice the same", self._training),
            found("training sets nothing that all of the process shares", self._surroundings),
            found("of an origin, where it looks at one: training ends ok, and twice the same", self._control),
        ]

    def run_other(self) -> list[Finding]:
        return [
            found(f"build {_OTHER}: the same seed gives the same network", self._build),
            found(f"edits {_OTHER}: leave the network and all global generators alone", self._edits),
            found(
                f"training {_OTHER}, for one epoch: ends ok, within reach, and twice the same", self._training
            ),
        ]

    def _space(self) -> str:
        space, drawn = asked(self.method.space, self.cell)
        wrong = [name for name, domain in space.items() if not isinstance(domain, Float | Int | Choice)]
        return f"of another kind: {wrong}" if wrong else drawn

    def _reach(self) -> str:
        reach = self.method.reach(self.cell, self.arm.space)
        layers = self.cell.architecture.sized_layers
        if set(reach) != set(layers):
            return f"layers {sorted(reach)}, the architecture has {sorted(layers)}"
        wrong = {layer: ends for layer, ends in reach.items() if not 0 <= ends[0] <= ends[1]}
        return f"not in order: {wrong}" if wrong else ""

    def _start_sizes(self) -> str:
        for trial in self.trials:
            said = self.method.start_sizes(self.cell, trial.params)
            network, _ = self._built(trial)
            for layer in self.cell.architecture.sized_layers:
                built = len(network.get_submodule(layer).weight)  # type: ignore[arg-type]
                if said.get(layer) != built:
                    return f"{layer}: says {said.get(layer)}, builds {built}"
        return ""

    def _build(self) -> str:
        first, second = (self._built(self.trials[0])[0].state_dict() for _ in range(2))
        different = [name for name in first if not torch.equal(first[name], second[name])]
        return f"differ: {different}" if different else ""

    def _penalty(self) -> str:
        networks = [self._built(self.trials[0])[0] for _ in range(2)]
        tensors = [{n: p.detach().clone() for n, p in net.named_parameters()} for net in networks]
        points = draw_frozen(self.arm.space, "RandomSampler", {}, 1, 2)
        numbers = [self._numbers(point) for point in points]
        before = copy.deepcopy(tensors[0])
        singles = [self.method.penalty(t, n) for t, n in zip(tensors, numbers, strict=True)]
        if any(not torch.equal(before[name], tensors[0][name]) for name in before):
            return "it changed a tensor"
        if singles[0] is None or singles[1] is None:
            return "" if singles[0] is singles[1] else "None for one trial and not for another"
        if singles[0].shape != () or not torch.isfinite(singles[0]):
            return f"found {singles[0]!r:.80}"
        stacked = torch.func.vmap(self.method.penalty)(_stack(tensors), _stack(numbers))
        assert isinstance(stacked, Tensor)
        apart = torch.stack([single for single in singles if single is not None])
        return (
            ""
            if torch.allclose(stacked, apart)
            else f"stacked {stacked.tolist()}, one by one {apart.tolist()}"
        )

    def _penalty_gradient(self) -> str:
        network, _ = self._built(self.trials[0])
        tensors = dict(network.named_parameters())
        numbers = self._numbers(self.trials[0].params)
        given = self.method.penalty_gradient(tensors, numbers)
        if given is None:
            return ""
        penalty = self.method.penalty(tensors, numbers)
        if penalty is None:
            return "there is a gradient and no penalty"
        found = torch.autograd.grad(penalty, list(tensors.values()), allow_unused=True)
        for (name, tensor), gradient in zip(tensors.items(), found, strict=True):
            zero = torch.zeros_like(tensor)
            said, true = given.get(name, zero), zero if gradient is None else gradient
            if said.shape != tensor.shape or not torch.allclose(said, true):
                return f"of {name} it is another"
        unknown = sorted(given.keys() - tensors.keys())
        return f"unknown names: {unknown}" if unknown else ""

    def _after_step(self) -> str:
        network, _ = self._built(self.trials[0])
        tensors = {n: t.detach().clone() for n, t in [*network.named_parameters(), *network.named_buffers()]}
        before = copy.deepcopy(tensors)
        changed = self.method.after_step(tensors, self._numbers(self.trials[0].params), 1e-3)
        unknown = [name for name in changed if name not in tensors]
        if unknown:
            return f"unknown names: {unknown}"
        reshaped = [name for name, tensor in changed.items() if tensor.shape != tensors[name].shape]
        if reshaped:
            return f"other shapes: {reshaped}"
        return (
            "" if all(torch.equal(before[n], tensors[n]) for n in before) else "it changed a tensor in place"
        )

    def _edits(self) -> str:
        split = self.runner.split(self.trials[0])
        network, state = self._built(self.trials[0])
        network.eval()
        before = copy.deepcopy(network.state_dict())
        drawn = ""
        for moment in self._moments():
            probe, generator = Probe(split.train, 64, self.plan.objective), torch.Generator().manual_seed(0)
            now = Situation(moment, network, state, self.trials[0].params, self.cell, probe, generator)
            (state, _), words = asked(self.method.edits, now)
            drawn = drawn or words
        after = network.state_dict()
        changed = [name for name in before if name in after and not torch.equal(before[name], after[name])]
        if changed or after.keys() != before.keys():
            return f"the network changed: {changed or sorted(after.keys() ^ before.keys())}"
        return drawn

    def _moments(self) -> list[Moment]:
        """Before the first step, and every end of an epoch; of digits, with 18 steps each."""
        params = self.trials[0].params
        schedule = self.plan.schedule(self.arm, params)
        moments = [Moment(0, 0, 0, epoch_ended=False, phase_ended=False)]
        for index, phase in enumerate(checked_phases(self.method.phases(params, schedule))):
            for left in reversed(range(phase.epochs)):
                epoch = moments[-1].epoch + 1
                moments.append(Moment(index, epoch, 18 * epoch, epoch_ended=True, phase_ended=not left))
        return moments

    def _training(self) -> str:
        reach = self.method.reach(self.cell, self.arm.space)
        for trial in self.trials:
            first, second = (self.runner.run(trial, attempt=1) for _ in range(2))
            if first.status != "ok":
                return f"{first.status}: {first.message}"
            if first.outcome() != second.outcome():
                return "two runs of one trial differ"
            for layer, units in first.epochs[-1].size.units.items():
                if not reach[layer][0] <= units <= reach[layer][1]:
                    return f"{layer} ended with {units} units, said to reach {reach[layer]}"
        return ""

    def _surroundings(self) -> str:
        """Told by a trial like those that have run, so that all it loads at its first need is there."""
        before, seen = settings(), set[str]()
        self.runner.run(self.trials[0], attempt=1, on_epoch=lambda _: seen.update(changes_since(before)))
        return f"set: {', '.join(sorted(seen))}; a trial's engine sets it back" if seen else ""

    def _control(self) -> str:
        return as_control(self.runner, self.trials[0], _plan_for("shrinknets", {}))

    def _built(self, trial: Trial) -> tuple[torch.nn.Module, Any]:
        torch.manual_seed(trial.seeds["init"])
        return self.method.build(self.cell, trial.params)

    def _numbers(self, params: Mapping[str, Any]) -> dict[str, Tensor]:
        """As the training loop makes them."""
        return {name: torch.tensor(n) for name, n in self.method.numbers(self.cell, params).items()}


def _stack(trials: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([trial[name] for trial in trials]) for name in trials[0]}
