"""Building a network narrower than its constructor can: at full width, cut, and started anew."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from harness.surgery.resizing.initialisation import recording
from harness.surgery.resizing.resize import resize


def narrowed(
    build: Callable[[], nn.Module], example_shape: tuple[int, ...], sizes: Mapping[str, int]
) -> nn.Module:
    """A network with some layers of other sizes, started as its constructor would start it at that width.

    Draws from torch's global generator what a constructor of the narrow network would, if it drew in the
    same order; what the full one draws is not seen in it.

    Args:
        build: makes the full network.
        sizes: layer -> units; heads of an attention.

    Raises:
        SurgeryError: naming layer and reason, if the network cannot be cut to these.
    """
    before = torch.get_rng_state()
    with recording() as record:
        network = build()
    if all(units_of(network, layer) == size for layer, size in sizes.items()):
        return network
    started = record(network)
    device = next((tensor.device for tensor in network.parameters()), None)
    resize(network, torch.zeros(2, *example_shape, device=device), sizes)
    torch.set_rng_state(before)
    started.replay(network)
    return network


def units_of(network: nn.Module, layer: str) -> int | None:
    """Units of a layer, heads of an attention; None if there is no such layer, or it has none."""
    try:
        module = network.get_submodule(layer)
    except AttributeError:
        return None
    if isinstance(module, nn.MultiheadAttention):
        heads: int = module.num_heads
        return heads
    weight = getattr(module, "weight", None)
    return len(weight) if isinstance(weight, Tensor) and weight.dim() else None
