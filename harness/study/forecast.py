"""What a plan will cost, from the networks it starts with: parameters, memory, training FLOPs.

Networks are built without memory (on torch's meta device), so that a plan of any size can be looked at on a
laptop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from harness.architectures.imagined import imagined
from harness.search.samplers import draw_frozen
from harness.sizing.base import Params
from harness.sizing.ledger.counting import FLOPS_PER_MAC, multiply_accumulates
from harness.study.optimizers import OPTIMIZERS
from harness.study.parts import StudyError
from harness.study.plan import Arm, Plan

N = TypeVar("N", int, float)

_BYTES = 4  # float32
#: Points drawn to look at an adaptive arm, whose own are not known before it runs.
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Forecast:
    """An arm before it runs. From its frozen trials, or for an adaptive arm from random points of its space.

    start_parameters: smallest, median, largest. peak_bytes: of the largest trial, parameters, gradients,
    optimizer state and the activations of one batch. start_flops: least, median and most training FLOPs of a
    trial if its network kept its starting size; train_flops: of the whole arm then.
    """

    start_parameters: tuple[int, int, int]
    peak_bytes: int
    start_flops: tuple[float, float, float]
    train_flops: float


def forecast(plan: Plan, arm: Arm) -> Forecast:
    """Look at the networks an arm starts with. Raises StudyError if one cannot be built."""
    points = _points(plan, arm)
    sizes = [_measure(plan, arm, params) for params in points]
    # The parameter, its gradient, and what the optimizer keeps of it.
    copies = 2 + OPTIMIZERS[plan.optimizer(arm).name].state_tensors
    peak = max(
        _BYTES * (count * copies + activations * plan.batch_size(arm, params))
        for params, (count, _, activations) in zip(points, sizes, strict=True)
    )
    flops = _flops(plan, arm, points, [macs for _, macs, _ in sizes])
    return Forecast(
        _spread([count for count, _, _ in sizes]),
        peak,
        _spread(flops),
        sum(flops) / len(flops) * arm.planned_trials,
    )


def _flops(plan: Plan, arm: Arm, points: Sequence[Params], macs: Sequence[int]) -> list[float]:
    """Training FLOPs of a trial at each point, whose network keeps its multiply-accumulates."""
    method, found = plan.method(arm), []
    for params, each in zip(points, macs, strict=True):
        phases = method.phases(params, plan.schedule(arm, params))
        found.append(float(FLOPS_PER_MAC * each * plan.length(arm, params, phases).examples))
    return found


def _spread(numbers: Sequence[N]) -> tuple[N, N, N]:
    """Least, median, most."""
    inorder = sorted(numbers)
    return inorder[0], inorder[len(inorder) // 2], inorder[-1]


def _points(plan: Plan, arm: Arm) -> Sequence[Params]:
    return plan.points(arm) or draw_frozen(arm.space, "RandomSampler", {}, 0, _SAMPLE)


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
