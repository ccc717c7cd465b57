"""Units about to be added: in pairs that cancel, and what their normalisation should hold for them."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from harness.sizing.criteria.joints import Joint
from harness.surgery import Widen


def in_pairs(first: Tensor, count: int, sign: float) -> Tensor:
    """Values of so many units, the first of each pair as given, the second `sign` times it: [count, ...].

    Args:
        first: [pairs, ...], for count // 2 pairs or more.
    """
    pairs = first[: count // 2]
    both = torch.stack([pairs, sign * pairs], 1).flatten(0, 1)
    return torch.cat([both, first.new_zeros(count - len(both), *first.shape[1:])])


def heard_by(joint: Joint, stacked: Tensor) -> dict[str, Tensor]:
    """Outgoing weights of units, laid out one after the other, for each reader: [outputs, units, entries].

    Args:
        stacked: [units, all entries of all readers], reader after reader, output after output.
    """
    found, begin = {}, 0
    for reader in joint.readers:
        outputs, _, entries = joint.read_by(reader).shape
        part = stacked[:, begin : begin + outputs * entries]
        found[reader] = part.reshape(len(stacked), outputs, entries).movedim(0, 1)
        begin += outputs * entries
    return found


@torch.no_grad()
def averages(
    network: nn.Module, joint: Joint, edit: Widen, x: Tensor, *, as_identity: bool
) -> dict[str, Tensor]:
    """What batch normalisation should hold for new units, by a batch: what `Widen.passing` takes.

    Running averages are those of the batch. Scale and shift are at rest; as the identity, they give back what
    normalisation takes.
    """
    if not joint.norms:
        return {}
    met = inputs_of(network, joint.norms, extended(joint, edit), x)
    new = len(edit.incoming)
    held: dict[str, Tensor] = {}
    for path, norm in joint.norms.items():
        units = met[path].movedim(1, 0)[-new:].flatten(1)
        mean, variance = units.mean(1), units.var(1, correction=0)
        here: Mapping[str, Tensor] = {"running_mean": mean, "running_var": variance}
        if as_identity:
            here = {**here, "weight": (variance + float(norm.eps)).sqrt(), "bias": mean}  # type: ignore[arg-type]
        known = joint.normalised()
        held |= {f"{path}.{name}": own for name, own in here.items() if f"{path}.{name}" in known}
    return held


def extended(joint: Joint, edit: Widen) -> dict[str, Tensor]:
    """Parameters and buffers by path as they would be with new units, without a graph.

    What `torch.func.functional_call` takes, so that units are tried without surgery on a copy.
    """
    found = {f"{joint.layer}.weight": torch.cat([joint.weight, edit.incoming])}
    if joint.bias is not None and edit.incoming_bias is not None:
        found[f"{joint.layer}.bias"] = torch.cat([joint.bias, edit.incoming_bias])
    for path in joint.readers:
        by_unit = joint.read_by(path)
        unread = joint.laid(path, by_unit.new_zeros(len(by_unit), len(edit.incoming), by_unit.shape[2]))
        old = joint.laid(path, by_unit)
        found[f"{path}.weight"] = torch.cat([old, edit.outgoing.get(path, unread)], 1)
    for path, held in joint.normalised().items():
        at_rest = float(path.endswith((".weight", ".running_var")))
        new = edit.passing.get(path, held.new_full((len(edit.incoming),), at_rest))
        found[path] = torch.cat([held, new])
    return found


@torch.no_grad()
def inputs_of(
    network: nn.Module, modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], x: Tensor
) -> dict[str, Tensor]:
    """What some modules of a network are given, with these parameters and buffers: path -> tensor."""
    met: dict[str, Tensor] = {}

    def keeper(path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: met.__setitem__(path, inputs[0])

    handles = [module.register_forward_pre_hook(keeper(path)) for path, module in modules.items()]
    functional_call(network, dict(tensors), (x,))
    for handle in handles:
        handle.remove()
    return met
