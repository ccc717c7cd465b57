"""From a network as a method left it to the plain network that its architecture builds."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.architectures.base import Architecture
from harness.extraction.errors import ExtractionError
from harness.sizing.gates.units import fold_gates

#: Largest difference of the outputs, relative to their scale, that rounding to float32 may leave.
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Plain:
    """A network without a trace of any method, in evaluation mode.

    difference: of its output from the trained network's: the largest, relative to the largest output.
    """

    network: nn.Module
    difference: float


@torch.no_grad()
def make_plain(
    network: nn.Module,
    architecture: Architecture,
    example_shape: tuple[int, ...],
    outputs: int,
    sizes: Mapping[str, int],
    x: Tensor,
) -> Plain:
    """Fold gates, and move what is left into a fresh network of the architecture.

    Masks and other buffers that a method added stay behind: masked weights are zero anyway.

    Args:
        network: as training left it; stays as it is.
        sizes: sized layer -> units.
        x: [examples, *example_shape], on the network's device, to compare both networks on.

    Raises:
        ExtractionError: if the architecture's network has other parameters or computes something else.
    """
    trained = copy.deepcopy(network).eval()
    folded = copy.deepcopy(trained)
    fold_gates(folded)
    plain = architecture.build(example_shape, outputs, sizes).to(x.device).eval()
    state, wanted = folded.state_dict(), plain.state_dict()
    foreign = [name for name, _ in folded.named_parameters() if name not in wanted]
    unlike = [
        name for name, tensor in wanted.items() if name not in state or state[name].shape != tensor.shape
    ]
    if foreign or unlike:
        raise ExtractionError(
            "the trained network is not one that its architecture builds from the sizes of its layers: "
            f"{', '.join(foreign + unlike)} differ(s)"
        )
    plain.load_state_dict({name: state[name] for name in wanted})
    difference = relative_difference(trained(x), plain(x))
    if not difference <= TOLERANCE:
        raise ExtractionError(
            f"the plain network computes something else than the trained one: outputs differ by "
            f"{difference:.1e} of their scale, at most {TOLERANCE:.0e} is allowed"
        )
    return Plain(plain, difference)


def relative_difference(wanted: Tensor, found: Tensor) -> float:
    """The largest difference of two outputs, relative to the largest of those wanted."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=torch.finfo(wanted.dtype).tiny))
