"""The size ledger: what a network physically is, counted and not declared."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.sizing.gates.gated import Gated
from harness.sizing.gates.units import gate_parameters
from harness.sizing.ledger.size import Size
from harness.surgery.donors import was_inserted


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A ledger whose non-zeros still lie on the device: int64, a scalar."""

    units: dict[str, int]
    parameters: int
    nonzeros: Tensor
    macs: int

    def size(self, nonzeros: int) -> Size:
        """The ledger, once the count has been read back."""
        return Size(self.units, self.parameters, nonzeros, self.macs)


def measure(network: nn.Module, sized_layers: Sequence[str], macs: int) -> Size:
    """The ledger of a network as it is now, gates folded in.

    Args:
        macs: of `multiply_accumulates`, which changes only with the structure.
    """
    found = survey(network, sized_layers, macs)
    return found.size(int(found.nonzeros))


def survey(network: nn.Module, sized_layers: Sequence[str], macs: int) -> Survey:
    """As `measure`, and nothing is read back from the device."""
    units = {layer: _units(network, layer) for layer in sized_layers}
    gated = {
        f"{layer}.{target}" if layer else target: (module, name)
        for layer, module in network.named_modules()
        if isinstance(module, Gated)
        for name, target in module.targets().items()
    }
    folded, parameters, counts = gate_parameters(network), 0, []
    for name, parameter in network.named_parameters():
        if name in folded:
            continue
        parameters += parameter.numel()
        values = parameter.detach()
        if name in gated:
            # A row whose gate is shut is zero once the gate is folded in.
            module, own = gated[name]
            values = values * (module.multiplied(own, torch.ones_like(values)).detach() != 0)
        counts.append(torch.count_nonzero(values))
    for norm in network.modules():
        if isinstance(norm, Gated) and norm.has_no_factor():  # it is given a factor and a shift
            factor = norm.factor().detach()
            parameters += 2 * factor.numel()
            counts.append(torch.count_nonzero(factor))
    nonzeros = torch.stack(counts).sum() if counts else torch.zeros((), dtype=torch.int64)
    return Survey(units, parameters, nonzeros, macs)


def _units(network: nn.Module, layer: str) -> int:
    """Units of a layer, heads of an attention, or 1 for a block; none of a block that was removed, and of
    what it held.

    A block that was put in its place need not hold the same.
    """
    module, is_foreign = network, False
    for name in layer.split("."):
        is_foreign = is_foreign or was_inserted(module)
        if isinstance(module, nn.Identity) or (is_foreign and name not in module._modules):
            return 0
        module = module.get_submodule(name)
    if isinstance(module, nn.Identity):
        return 0
    if isinstance(module, nn.MultiheadAttention):
        heads: int = module.num_heads
        return heads
    if next(module.children(), None) is not None:
        return 1
    weight = module.weight
    assert isinstance(weight, Tensor)
    return len(weight)
