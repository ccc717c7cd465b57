"""What deleting a weight costs, by the diagonal of the Hessian: h w^2 / 2 (LeCun, Denker, Solla 1990)."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from harness.sizing.criteria import differences, double_backward, gauss_newton, hutchinson
from harness.sizing.criteria.candidates import at_places
from harness.sizing.criteria.energy import Energy
from harness.sizing.probe import Probe

Estimator = Literal["energies", "gradients", "double-backward", "gauss-newton", "hutchinson"]
#: What is made of a negative h, which says that the loss would fall: it counts as zero, or as its size.
SignRule = Literal["clip", "absolute"]


def saliencies(
    network: nn.Module,
    places: Mapping[str, Tensor],
    probe: Probe,
    generator: Generator,
    *,
    estimator: Estimator,
    examples: int | None,
    epsilon: float,
    probes: int,
    negative: SignRule,
) -> dict[str, Tensor]:
    """The saliency of each weight: parameter -> [k].

    All but "hutchinson" compute in float64, which passes through each weight singly: they are for small
    networks; "hutchinson" keeps the network's precision.

    Args:
        places: parameter -> places [k] in the flattened parameter.
        estimator: of the diagonal. epsilon: of the first two. probes: of the last.
        examples: that the loss is taken of; None for the whole training part.

    Raises:
        FloatingPointError: in one sentence, if an entry of the diagonal is not finite.
    """
    dtype = None if estimator == "hutchinson" else torch.float64
    energy = Energy.of(network, probe, examples, generator, dtype)
    curvature: dict[str, Tensor]
    match estimator:
        case "energies":
            curvature = differences.by_energies(energy, places, epsilon)
        case "gradients":
            curvature = differences.by_gradients(energy, places, epsilon)
        case "double-backward":
            curvature = double_backward.diagonal(energy, places)
        case "gauss-newton":
            curvature = gauss_newton.diagonal(energy, places)
        case "hutchinson":
            curvature = hutchinson.diagonal(energy, places, probes, generator)
    weights = at_places(network_tensors(network), places)
    return {name: saliency(own, weights[name], negative, name) for name, own in curvature.items()}


def saliency(curvature: Tensor, weight: Tensor, negative: SignRule, name: str = "") -> Tensor:
    """h w^2 / 2, with h by the sign rule: [k].

    Raises:
        FloatingPointError: if h is not finite; `name` says of what.
    """
    if wrong := int((~curvature.isfinite()).sum()):
        raise FloatingPointError(
            f"the Hessian of {name!r} has {wrong} entries on its diagonal that are not finite, so nothing "
            "can be said of these weights"
        )
    kept = curvature.clamp(min=0) if negative == "clip" else curvature.abs()
    return kept * weight.to(kept.dtype).square() / 2


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters by path."""
    return dict(network.named_parameters())
