"""What a plan will cost, from the networks it starts with: parameters, memory, training FLOPs.

Networks are built without memory (on torch's meta device), so that a plan of any size can be looked at on a
laptop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from harness.architectures.imagined import imagined
from harness.datasets import validation_count
from harness.search.samplers import draw_frozen
from harness.sizing.base import Params
from harness.sizing.ledger.counting import FLOPS_PER_MAC, multiply_accumulates
from harness.study.optimizers import OPTIMIZERS
from harness.study.plan import Arm, Plan
from harness.study.schema import StudyError

_BYTES = 4  # float32
#: Points drawn to look at an adaptive arm, whose own are not known before it runs.
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Forecast:
    """An arm before it runs. From its frozen trials, or for an adaptive arm from random points of its space.

    start_parameters: smallest, median, largest. peak_bytes: of the largest trial, parameters, gradients,
    optimizer state and the activations of one batch. train_flops: of the whole arm if every network kept
    its starting size.
    """

    start_parameters: tuple[int, int, int]
    peak_bytes: int
    train_flops: float


def forecast(plan: Plan, arm: Arm) -> Forecast:
    """Look at the networks an arm starts with. Raises StudyError if one cannot be built."""
    points = _points(plan, arm)
    sizes = [_measure(plan, arm, params) for params in points]
    parameters = sorted(size[0] for size in sizes)
    training = plan.study.training
    # The parameter, its gradient, and what the optimizer keeps of it.
    copies = 2 + OPTIMIZERS[training.optimizer.name].state_tensors
    peak = max(
        _BYTES * (count * copies + activations * training.batch_size) for count, _, activations in sizes
    )
    work = [macs * _examples(plan, arm, params) for params, (_, macs, _) in zip(points, sizes, strict=True)]
    flops = FLOPS_PER_MAC * sum(work) / len(work) * arm.planned_trials
    return Forecast((parameters[0], parameters[len(parameters) // 2], parameters[-1]), peak, flops)


def _examples(plan: Plan, arm: Arm, params: Params) -> int:
    """Examples that a trial trains on, over all its phases."""
    training, facts = plan.study.training, plan.facts[arm.dataset]
    one_pass = facts.train_examples - validation_count(
        facts.name, facts.train_examples, training.validation_fraction, plan.study.seeds.split
    )
    phases = plan.method(arm).phases(params, plan.schedule(arm, params))
    return sum(
        phase.epochs * (phase.steps_per_epoch * training.batch_size if phase.steps_per_epoch else one_pass)
        for phase in phases
    )


def _points(plan: Plan, arm: Arm) -> Sequence[Params]:
    frozen = [trial.params for (key, _), trials in plan.frozen.items() if key == arm.key for trial in trials]
    return frozen or draw_frozen(arm.space, "RandomSampler", {}, 0, _SAMPLE)


def _measure(plan: Plan, arm: Arm, params: Params) -> tuple[int, int, int]:
    """Parameters, multiply-accumulates and activations (numbers kept for backward) for one example."""
    cell, method = plan.cell(arm, params), plan.method(arm)
    try:
        network, example = imagined(
            lambda: (method.build(cell, params)[0], torch.empty(1, *cell.example_shape))
        )
    except Exception as error:
        where = f"{arm.key}: no network can be built"
        raise StudyError(f"{where}: {type(error).__name__}: {error}") from error
    activations = 0

    def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal activations
        activations += output.numel()

    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [module.register_forward_hook(add) for module in leaves]
    macs = multiply_accumulates(network, example)
    for handle in handles:
        handle.remove()
    return sum(parameter.numel() for parameter in network.parameters()), macs, activations
