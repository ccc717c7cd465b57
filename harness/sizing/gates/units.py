"""Gates: a factor per unit that a sizing method can learn, and that a network can be rid of again.

A unit's output is multiplied by max(0, gate) (*ShrinkNets*, Leclerc, Castro Fernandez and Madden, "I * max(0,
θ)"); a unit whose gate is at or below zero is dead. The factor is put on the rows of the weight and on the
bias of the layer that makes the unit: the same function, and far cheaper than scaling what comes out. A gate
on a normalisation scales the normalisation's own factor and shift: the same as a gate behind it. Where units
pass through a normalisation, that is the place for gates: a unit that dies before it still sends the
normalisation's shift on.
"""

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from harness.sizing.gates.kinds import gated_kind, unit_count
from harness.sizing.gates.layers import GATED, Gated, fold, put
from harness.sizing.gates.rules import GateRule, Rectified
from harness.sizing.gates.tied import Holders


def places_for_gates(layers: Iterable[str], norms: Mapping[str, str]) -> tuple[str, ...]:
    """Where gates for some layers go: on the normalisation behind a layer, or else on the layer itself.

    Args:
        layers: paths of the sized layers.
        norms: layer -> normalisation that directly follows it (`harness.surgery.trace(...).norms`).
    """
    return tuple(norms.get(layer, layer) for layer in layers)


def attach_gates(
    network: nn.Module,
    layers: Iterable[str],
    initial: Mapping[str, Tensor] | float | None = None,
    rule: GateRule | None = None,
) -> None:
    """Put a gate on every unit of some layers, in place; paths of all other parameters stay as they are.

    Args:
        network: the network to change. Gates are new parameters `<layer>.gate`, [units].
        layers: paths of linear layers, convolutions or batch normalisations.
        initial: where gates start: layer -> [units], one number for all, or None for U(0, 1] drawn from
            torch's global generator, layer after layer.
        rule: how a gate acts; `Rectified` if None.

    Raises:
        ValueError: if there is no such layer, it is of a kind that takes no gates or gated already, its
            weight is also held elsewhere, or starting values have another shape; no gate is attached then.
    """
    rule, holders = rule if rule is not None else Rectified(), Holders(network)
    chosen: dict[str, tuple[nn.Module, type[nn.Module]]] = {}
    for layer in layers:
        module = _layer(network, layer)
        kind = gated_kind(module, layer)
        if layer in chosen or getattr(module, "gate", None) is not None:
            allowed = ", ".join(sorted(plain.__name__ for plain in GATED))
            raise ValueError(f"The layer {layer!r} is a {kind.__name__}; gates go on {allowed}.")
        holders.check(module, layer, kind)
        _check_initial(layer, unit_count(module, kind), initial)
        chosen[layer] = module, kind
    for layer, (module, kind) in chosen.items():
        put(module, kind, "gate", _start(module, unit_count(module, kind), layer, initial), rule)


def _check_initial(layer: str, units: int, initial: Mapping[str, Tensor] | float | None) -> None:
    if isinstance(initial, Mapping) and (layer not in initial or initial[layer].shape != (units,)):
        raise ValueError(f"Gates of the layer {layer!r} need {units} starting values.")


def _start(module: nn.Module, units: int, layer: str, initial: Mapping[str, Tensor] | float | None) -> Tensor:
    like = next(
        (tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.dim()), torch.empty(0)
    )
    if initial is None:
        # rand() lies in [0, 1): turned round, no gate starts dead.
        return 1 - torch.rand(units, dtype=like.dtype, device=like.device)
    if not isinstance(initial, Mapping):
        return torch.full((units,), initial, dtype=like.dtype, device=like.device)
    return initial[layer].to(like).clone()


def gates(network: nn.Module) -> dict[str, nn.Parameter]:
    """Path of each layer whose units are gated -> its gates."""
    return {path: gate for path, module in _gated(network).items() if (gate := module.gate) is not None}


def gate_parameters(network: nn.Module) -> frozenset[str]:
    """Paths of the parameters that are gates, whether of units or of blocks."""
    return frozenset(
        f"{path}.{name}"
        for path, module in _gated(network).items()
        for name in ("gate", "block_gate")
        if getattr(module, name) is not None
    )


def dead_units(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Path of each layer whose units are gated -> indices of its units that are dead for good."""
    return {
        path: tuple(torch.nonzero(dead).flatten().tolist())
        for path, (_, dead) in gates_on_host(network).items()
    }


def gates_on_host(network: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Path of each layer whose units are gated -> its gates, and whether each is dead for good.

    Both [units], on the CPU; those of all layers are read from their device in one transfer.
    """
    by_layer = {path: gate.detach() for path, gate in gates(network).items()}
    if not by_layer:
        return {}
    rules = {path: cast(Gated, network.get_submodule(path)).gate_rule for path in by_layer}
    dead = [rules[path].dead(gate).to(gate.dtype) for path, gate in by_layer.items()]
    read = torch.cat([*by_layer.values(), *dead]).cpu()
    parts = read.split([len(gate) for gate in by_layer.values()] * 2)
    count = len(by_layer)
    return {path: (parts[place], parts[count + place] != 0) for place, path in enumerate(by_layer)}


def fold_gates(network: nn.Module) -> None:
    """Multiply gates into the weights, in place: plain layers that compute the same are left, and no gate.

    Raises:
        ValueError: for a gate on a normalisation that has no factor and shift of its own.
    """
    for path, module in _gated(network).items():
        gated = cast(nn.Module, module)
        if module.has_no_factor():
            raise ValueError(f"The normalisation {path!r} has no factor that its gates could be folded into.")
        fold(gated)


def _gated(network: nn.Module) -> dict[str, Gated]:
    return {path: module for path, module in network.named_modules() if isinstance(module, Gated)}


def _layer(network: nn.Module, path: str) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError:
        raise ValueError(f"The network has no layer {path!r}.") from None
