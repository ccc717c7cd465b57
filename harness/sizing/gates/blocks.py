"""Gates of residual blocks: one number scales a block's branch; a block whose gate dies goes whole.

act(x + max(0, gate) * branch(x)): with the gate at or below zero the block is the identity, and
`harness.surgery.RemoveBlock` takes it out without changing what the network computes. The shortcut is never
scaled. The gate sits on the layer that the branch ends in, where it multiplies weight and bias (or the factor
and shift of a normalisation), together with gates of that layer's units if it has any.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from harness.sizing.gates.gated import Gated
from harness.sizing.gates.kinds import block_kind, reading_kind
from harness.sizing.gates.layers import put
from harness.sizing.gates.rules import GateRule, Inverse, Rectified
from harness.sizing.gates.tied import Holders
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.residual import ResidualBlocks, residual_blocks


def places_for_block_gates(network: nn.Module, example: Example) -> ResidualBlocks:
    """Which blocks of a network can have a gate, and on which layer; which cannot, and why.

    Args:
        network: any plain module; left as it is.
        example: a batch as the network will see it, [batch, ...], on its device.

    Raises:
        SurgeryError: if the network does not run on the example.
    """

    return residual_blocks(network, example, partial(_can, block_kind), partial(_can, reading_kind))


def _can(kind: Callable[[nn.Module, str], type[nn.Module]], module: nn.Module) -> bool:
    try:
        made = cast(type[Gated], kind(module, ""))
    except ValueError:
        return False
    # A normalisation without a factor of its own has nothing that a gate could be folded into.
    return any(getattr(module, name, None) is not None for name in made.scaled)


def attach_block_gates(
    network: nn.Module,
    blocks: Iterable[str],
    example: Example,
    initial: Mapping[str, float] | float | None = None,
    rule: GateRule | None = None,
) -> None:
    """Put a gate on some residual blocks, in place; paths of all other parameters stay as they are.

    Args:
        network: the network to change. Gates are new parameters `<layer>.block_gate`, [], where the layer is
            the one that the block's branch ends in; a layer of `balances` has the same parameter.
        blocks: paths of residual blocks, e.g. all `ends` of `places_for_block_gates`.
        example: a batch as the network will see it, [batch, ...], on its device.
        initial: where gates start: block -> number, one number for all, or None for U(0, 1] drawn from
            torch's global generator, block after block.
        rule: how a gate acts; `Rectified` if None.

    Raises:
        ValueError: if there is no such block, it is no residual block or not the identity without its branch,
            it has a gate already, or no starting value; no gate is attached then.
        SurgeryError: if the network does not run on the example.
    """
    rule, places = rule if rule is not None else Rectified(), places_for_block_gates(network, example)
    ends, holders = dict[str, str](), Holders(network)
    for block in blocks:
        end = _end(network, block, places)
        module = network.get_submodule(end)
        if block in ends or getattr(module, "block_gate", None) is not None:
            raise ValueError(f"The block {block!r} has a gate already.")
        if isinstance(initial, Mapping) and block not in initial:
            raise ValueError(f"The gate of the block {block!r} needs a starting value.")
        holders.check(module, end, block_kind(module, end))
        if block in places.balances:
            balance = places.balances[block]
            reader = network.get_submodule(balance)
            holders.check(reader, balance, reading_kind(reader, balance))
        ends[block] = end
    for block, end in ends.items():
        layer = network.get_submodule(end)
        gate = put(layer, block_kind(layer, end), "block_gate", _start(layer, block, initial), rule)
        cast(Gated, layer).path_in_block = end.removeprefix(f"{block}.")
        if block in places.balances:
            reader = network.get_submodule(places.balances[block])
            put(reader, reading_kind(reader, block), "block_gate", gate, Inverse(rule))


def _end(network: nn.Module, block: str, places: ResidualBlocks) -> str:
    """The layer for a block's gate."""
    if block in places.ends:
        return places.ends[block]
    if block in places.left_out:
        raise ValueError(places.left_out[block])
    try:
        network.get_submodule(block)
    except AttributeError:
        raise ValueError(f"The network has no block {block!r}.") from None
    known = ", ".join(places.ends) or "none"
    raise ValueError(f"The module {block!r} adds nothing to its input itself; residual blocks: {known}.")


def _start(layer: nn.Module, block: str, initial: Mapping[str, float] | float | None) -> Tensor:
    like = next(iter((*layer.parameters(), *layer.buffers())))
    if initial is None:
        # rand() lies in [0, 1): turned round, no gate starts dead.
        return 1 - torch.rand((), dtype=like.dtype, device=like.device)
    start = initial[block] if isinstance(initial, Mapping) else initial
    return torch.tensor(start, dtype=like.dtype, device=like.device)


def block_gates(network: nn.Module) -> dict[str, nn.Parameter]:
    """Path of each gated block -> its gate, a single number."""
    return {block: gate for block, (gate, _) in _gated(network).items()}


def dead_blocks(network: nn.Module) -> tuple[str, ...]:
    """Paths of the gated blocks that are dead for good, outermost alone where they lie in each other.

    Each can be proposed for removal as it is: `RemoveBlock(block)`.
    """
    dead = [block for block, (gate, rule) in _gated(network).items() if rule.dead(gate.detach())]
    return tuple(block for block in dead if not any(block.startswith(f"{outer}.") for outer in dead))


def _gated(network: nn.Module) -> dict[str, tuple[nn.Parameter, GateRule]]:
    return {
        path.removesuffix(f".{module.path_in_block}"): (module.block_gate, module.block_gate_rule)
        for path, module in network.named_modules()
        if isinstance(module, Gated) and module.block_gate is not None and module.path_in_block is not None
    }
