"""From a network as a method left it to the plain network that its architecture builds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn

from harness.architectures.base import Architecture
from harness.extraction.alteration import Alteration
from harness.extraction.alterations import alterations_of, reshape, shapes_of
from harness.extraction.errors import ExtractionError
from harness.sizing.gates.units import fold_gates
from harness.surgery.donors import was_inserted
from harness.surgery.tracing.computed import copied

#: Largest difference of the outputs, relative to their scale, that rounding to float32 may leave.
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Plain:
    """A network without a trace of any method, in evaluation mode.

    difference: of its output from the trained network's: the largest, relative to the largest output.
    sizes: that its architecture builds it with. alterations, shapes: what was done to it then.
    """

    network: nn.Module
    difference: float
    sizes: dict[str, int]
    alterations: tuple[Alteration, ...]
    shapes: dict[str, tuple[int, ...]]


@torch.no_grad()
def make_plain(
    network: nn.Module,
    architecture: Architecture,
    example_shape: tuple[int, ...],
    outputs: int,
    sizes: Mapping[str, int],
    x: Tensor,
) -> Plain:
    """Fold gates, and move what is left into a fresh network of the architecture, altered as the method did.

    Masks and other buffers that a method added stay behind: masked weights are zero anyway.

    Args:
        network: as training left it; stays as it is.
        sizes: sized layer -> units.
        x: [examples, *example_shape], on the network's device, to compare both networks on.

    Raises:
        ExtractionError: if the architecture's network has other parameters or computes something else, or a
            block that the method put in cannot be described.
    """
    trained = copied(network).eval()
    folded = copied(trained)
    fold_gates(folded)
    sizes = {layer: _asked(folded, layer, units) for layer, units in sizes.items()}
    plain = architecture.build(example_shape, outputs, sizes)
    _check_sizes(folded, plain, sizes)
    alterations = alterations_of(folded, plain)
    shapes = shapes_of(folded, plain)
    reshape(plain, shapes)
    plain.to(x.device).eval()
    state, wanted = folded.state_dict(), plain.state_dict()
    foreign = [name for name, _ in folded.named_parameters() if name not in wanted]
    unlike = [
        name for name, tensor in wanted.items() if name not in state or state[name].shape != tensor.shape
    ]
    if foreign or unlike:
        _refuse(foreign + unlike)
    plain.load_state_dict({name: state[name] for name in wanted})
    difference = relative_difference(trained(x), _given(plain, x))
    if not difference <= TOLERANCE:
        raise ExtractionError(
            f"the plain network computes something else than the trained one: outputs differ by "
            f"{difference:.1e} of their scale, at most {TOLERANCE:.0e} is allowed"
        )
    return Plain(plain, difference, sizes, tuple(alterations), shapes)


def _given(plain: nn.Module, x: Tensor) -> Tensor:
    try:
        made: Tensor = plain(x)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ExtractionError(
            "the plain network does not run with the trained one's weights: a number that its code holds, "
            "such as one of heads, went with units that were taken out, and shapes alone are written "
            f"({' '.join(str(error).split()):.160})"
        ) from error
    return made


def _asked(trained: nn.Module, layer: str, units: int) -> int:
    """Units that an architecture is asked for: one at least, of a layer in a block that was taken out."""
    steps = layer.split(".")
    for length in range(1, len(steps)):
        block = trained.get_submodule(".".join(steps[:length]))
        if type(block) is nn.Identity or was_inserted(block):
            return max(1, units)
    return units


def _check_sizes(trained: nn.Module, built: nn.Module, sizes: Mapping[str, int]) -> None:
    """See that sized layers have their sizes; only what lies between them may be cut otherwise."""
    state, wanted = trained.state_dict(), built.state_dict()
    layers = [name for layer in sizes if (name := f"{layer}.weight") in state and name in wanted]
    if any(len(state[name]) != len(wanted[name]) for name in layers):
        _refuse([name for name in wanted if name not in state or state[name].shape != wanted[name].shape])


def _refuse(names: list[str]) -> NoReturn:
    raise ExtractionError(
        "the trained network is not one that its architecture builds from the sizes of its layers: "
        f"{', '.join(names)} differ(s)"
    )


def relative_difference(wanted: Tensor, found: Tensor) -> float:
    """The largest difference of two outputs, relative to the largest of those wanted."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=torch.finfo(wanted.dtype).tiny))
