"""What a network gives in each of its modes, and how far two such answers are apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.surgery.tracing.chance import generators, seed_all
from harness.surgery.tracing.example import Example, twice
from harness.surgery.tracing.follow import outputs_of, quiet
from harness.surgery.tracing.noise import training_without_noise

_NORMALISATIONS = nn.modules.batchnorm._NormBase

Outputs = tuple[list[Tensor], list[Tensor]]

#: Evaluation mode; training mode without dropout; evaluation mode with normalisation by the batch.
EVALUATION, TRAINING, BY_BATCH = "evaluation", "training", "by batch"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network gives for an example in one mode. drawn: whether it drew random numbers meanwhile."""

    tensors: list[Tensor]
    drawn: bool


def answer(
    network: nn.Module,
    example: Example,
    mode: str,
    *,
    seed: int | None = None,
    noisy: nn.Module | None = None,
) -> Answer:
    """What a network gives for an example in a mode; nothing is left changed.

    Args:
        seed: to draw random numbers from; those that would come next if None.
        noisy: a part of the network in which noise is on in training mode.
    """
    with quiet(network), torch.no_grad(), _mode(network, mode, noisy):
        if seed is not None:
            seed_all(seed)
        before = generators(network)
        made = outputs_of(network, example if mode == EVALUATION else twice(example))
        return Answer([tensor.clone() for tensor in made], generators(network) != before)


@contextmanager
def _mode(network: nn.Module, mode: str, noisy: nn.Module | None) -> Iterator[None]:
    if mode == TRAINING and noisy is None:
        with training_without_noise(network):
            yield
        return
    network.eval()
    if mode != EVALUATION:
        for module in network.modules():
            if isinstance(module, _NORMALISATIONS):
                module.train()
        if noisy is not None:
            noisy.train()
    yield


def outputs(network: nn.Module, example: Example, *, noisy: nn.Module | None = None) -> Outputs:
    """What a network gives for an example, in evaluation and in training mode; nothing is left changed.

    Noise (dropout, stochastic depth) is off: it could not be drawn alike for networks of two sizes. Where a
    network draws some nevertheless, training mode means that normalisation goes by the batch. A part of the
    network can be named in which noise is on.
    """
    training = answer(network, example, TRAINING if noisy is None else BY_BATCH, noisy=noisy)
    if training.drawn and noisy is None:
        training = answer(network, example, BY_BATCH)
    return answer(network, example, EVALUATION).tensors, training.tensors


def largest_change(before: Outputs, after: Outputs) -> tuple[float, float]:
    """Largest absolute difference, in evaluation and in training mode."""
    evaluation, training = (
        max((float((old - new).abs().max()) for old, new in zip(first, second, strict=True)), default=0.0)
        for first, second in zip(before, after, strict=True)
    )
    return evaluation, training


def difference(before: Answer, after: Answer) -> float | None:
    """Largest difference, each relative to the scale of its output, the largest of its finite values.

    Infinite where a value that was finite is not, or outputs have other shapes. None where nothing is to be
    compared: no numbers of floating point, none of them finite.
    """
    shapes = [[tensor.shape for tensor in each.tensors] for each in (before, after)]
    if shapes[0] != shapes[1]:
        return float("inf")
    parts: list[float] = []
    for old, new in zip(before.tensors, after.tensors, strict=True):
        if not (old.is_floating_point() or old.is_complex()) or not old.numel():
            continue
        old, new = (each.to(torch.complex128 if old.is_complex() else torch.float64) for each in (old, new))
        finite = old.isfinite()
        if not finite.any():
            continue
        if not new[finite].isfinite().all():
            return float("inf")
        scale = max(float(old[finite].abs().max()), _SMALLEST)
        parts.append(float((old[finite] - new[finite]).abs().max()) / scale)
    return max(parts, default=None)


#: Outputs below this are as good as zero.
_SMALLEST = 1e-100
