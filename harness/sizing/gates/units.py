"""Gates: a factor per unit that a sizing method can learn, and that a network can be rid of again.

A unit's output is multiplied by max(0, gate) (*ShrinkNets*, Leclerc, Castro Fernandez and Madden, "I * max(0,
θ)"); a unit whose gate is at or below zero is dead. The factor is put on the rows of the weight and on the
bias of the layer that makes the unit: the same function, and far cheaper than scaling what comes out. A gate
on a normalisation scales the normalisation's own factor and shift: the same as a gate behind it. Where units
pass through a normalisation, that is the place for gates: a unit that dies before it still sends the
normalisation's shift on.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from harness.sizing.gates.gated import Gated
from harness.sizing.gates.kinds import allowed, gated_kind, second_count, second_kind, unit_count
from harness.sizing.gates.layers import fold, put
from harness.sizing.gates.rules import GateRule, Rectified
from harness.sizing.gates.tied import Holders
from harness.surgery.certificate import EVALUATION, TRAINING, answer
from harness.surgery.rounding import beyond_rounding
from harness.surgery.tracing.computed import copied
from harness.surgery.tracing.example import Example


def places_for_gates(
    layers: Iterable[str], norms: Mapping[str, str], network: nn.Module | None = None
) -> tuple[str, ...]:
    """Where gates for some layers go: on the normalisation behind a layer, or else on the layer itself.

    Args:
        layers: paths of the sized layers.
        norms: layer -> normalisation that directly follows it (`harness.surgery.trace(...).norms`).
        network: the network; if given, places that `attach_gates` would refuse are left out.
    """
    places = tuple(norms.get(layer, layer) for layer in layers)
    if network is None:
        return places
    holders = Holders(network)
    return tuple(place for place in places if _refusal(network, holders, place) is None)


def _refusal(network: nn.Module, holders: Holders, layer: str) -> str | None:
    try:
        place = place_of(network, layer)
        holders.check(place.module, layer, place.kind)
    except ValueError as error:
        return str(error)
    return None


def attach_gates(
    network: nn.Module,
    layers: Iterable[str],
    initial: Mapping[str, Tensor] | float | None = None,
    rule: GateRule | None = None,
    example: Example | None = None,
) -> None:
    """Put a gate on every unit of some layers, in place; paths of all other parameters stay as they are.

    Args:
        network: the network to change. Gates are new parameters `<layer>.gate`, [units]; of a layer that
            makes two kinds of units those of the second are `<layer>.second_gate`.
        layers: paths of linear layers, convolutions or batch normalisations; as `harness.surgery.trace` has
            them, also of a parameter that units of a second kind are named by (a tied autoencoder's weight).
        initial: where gates start: layer -> [units], one number for all, or None for U(0, 1] drawn from
            torch's global generator, layer after layer.
        rule: how a gate acts; `Rectified` if None.
        example: a batch as the network will see it, to try on copies whether it computes the same once gates
            are folded. It does unless it goes round its layers' attributes: reads `parameters()` or
            `state_dict()` and computes with them, or writes into weights, while it runs.

    Raises:
        ValueError: if there is no such layer, it is of a kind that takes no gates or gated already, its
            weight is also held elsewhere, starting values have another shape, or folding would change what
            the network computes for the example; no gate is attached then.
        SurgeryError: if the network does not run on the example.
    """
    rule, holders = rule if rule is not None else Rectified(), Holders(network)
    chosen: dict[str, Place] = {}
    for layer in layers:
        place = place_of(network, layer)
        if layer in chosen or getattr(place.module, place.name, None) is not None:
            raise ValueError(f"The layer {layer!r} is a {place.kind.__name__}; gates go on {allowed()}.")
        holders.check(place.module, layer, place.kind)
        _check_initial(layer, place.units, initial)
        chosen[layer] = place
    # A network without values (on torch's meta device) computes nothing that could be compared.
    if example is not None and not any(own.is_meta for own in network.parameters()):
        _try(network, chosen, rule, example)
    for layer, place in chosen.items():
        put(place.module, place.kind, place.name, _start(place.module, place.units, layer, initial), rule)


@dataclass(frozen=True, slots=True)
class Place:
    """Where gates go: a module, the class that it becomes, the gates' name in it, and their number."""

    module: nn.Module
    kind: type[nn.Module]
    name: str
    units: int


def place_of(network: nn.Module, layer: str) -> Place:
    """Where the gates of a layer go; raises ValueError if it can have none."""
    try:
        module = network.get_submodule(layer)
    except AttributeError:
        # A layer that makes several kinds of units names each by its parameter.
        path, _, name = layer.rpartition(".")
        module = _layer(network, path)
        if module._parameters.get(name) is None:
            raise ValueError(f"The network has no layer {layer!r}.") from None
        kind = second_kind(module, path, name)
        return Place(module, kind, "second_gate", second_count(module, kind))
    kind = gated_kind(module, layer)
    return Place(module, kind, "gate", unit_count(module, kind))


@torch.no_grad()
def _try(network: nn.Module, layers: Iterable[str], rule: GateRule, example: Example) -> None:
    """See that copies of a network compute the same with gates and with these folded in."""
    try:
        gated = copied(network)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise ValueError(
            "The network cannot be copied, so gates cannot be tried out on it; it holds something without "
            f"a copy, such as what it made of its last input ({' '.join(str(error).split()):.160})."
        ) from error
    for layer in layers:
        place = place_of(gated, layer)
        start = torch.linspace(0.5, 1.5, place.units).to(_start(place.module, place.units, layer, 1.0))
        put(place.module, place.kind, place.name, start, rule)
    folded = copy.deepcopy(gated)
    fold_gates(folded)
    # What is folded is rounded to the weights' own type, which may be coarser than that of the outputs.
    kinds = {own.dtype for own in gated.parameters() if own.is_floating_point() or own.is_complex()}
    coarsest = max(kinds, key=lambda kind: torch.finfo(kind).eps)
    for mode in (EVALUATION, TRAINING):
        made, wanted = (answer(own, example, mode, seed=0) for own in (gated, folded))
        change = beyond_rounding(folded, example, mode, made, wanted, kept_in=coarsest)
        if change is not None:
            raise ValueError(
                f"Folding gates would change the outputs in {mode} mode by {change:.2g} of their scale: the "
                "network's code goes another way to parameters of gated layers than by their attributes."
            )


def _check_initial(layer: str, units: int, initial: Mapping[str, Tensor] | float | None) -> None:
    if isinstance(initial, Mapping) and (layer not in initial or initial[layer].shape != (units,)):
        raise ValueError(f"Gates of the layer {layer!r} need {units} starting values.")


def _start(module: nn.Module, units: int, layer: str, initial: Mapping[str, Tensor] | float | None) -> Tensor:
    like = next(
        (tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.dim()), torch.empty(0)
    )
    if like.is_complex():  # a gate is a size, and has no direction
        like = like.real
    if initial is None:
        # rand() lies in [0, 1): turned round, no gate starts dead.
        return 1 - torch.rand(units, dtype=like.dtype, device=like.device)
    if not isinstance(initial, Mapping):
        return torch.full((units,), initial, dtype=like.dtype, device=like.device)
    return initial[layer].to(like).clone()


def gates(network: nn.Module) -> dict[str, nn.Parameter]:
    """Path of each layer whose units are gated -> its gates; of each parameter that units are named by."""
    return {path: getattr(module, name) for path, (module, name) in _gates(network).items()}


def _gates(network: nn.Module) -> dict[str, tuple[Gated, str]]:
    """Path of each layer whose units are gated -> the module, and the name of the gates in it."""
    found: dict[str, tuple[Gated, str]] = {}
    for path, module in _gated(network).items():
        if module.gate is not None:
            found[path] = module, "gate"
        if module.second_gate is not None:
            found[f"{path}.{module.second}" if path else str(module.second)] = module, "second_gate"
    return found


def gate_parameters(network: nn.Module) -> frozenset[str]:
    """Paths of the parameters that are gates, whether of units or of blocks."""
    return frozenset(
        f"{path}.{name}"
        for path, module in _gated(network).items()
        for name in ("gate", "second_gate", "block_gate")
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
    found = _gates(network)
    by_layer = {path: getattr(module, name).detach() for path, (module, name) in found.items()}
    if not by_layer:
        return {}
    rules: dict[str, GateRule] = {
        path: getattr(module, f"{name}_rule") for path, (module, name) in found.items()
    }
    dead = [rules[path].dead(gate).to(gate.dtype) for path, gate in by_layer.items()]
    read = torch.cat([*by_layer.values(), *dead]).cpu()
    parts = read.split([len(gate) for gate in by_layer.values()] * 2)
    count = len(by_layer)
    return {path: (parts[place], parts[count + place] != 0) for place, path in enumerate(by_layer)}


def fold_gates(network: nn.Module) -> None:
    """Multiply gates into the weights, in place: plain layers that compute the same are left, and no gate.

    A normalisation that has no factor and shift of its own gets some, as it would have with `affine=True`.
    """
    for module in _gated(network).values():
        fold(cast(nn.Module, module))


def _gated(network: nn.Module) -> dict[str, Gated]:
    return {path: module for path, module in network.named_modules() if isinstance(module, Gated)}


def _layer(network: nn.Module, path: str) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError:
        raise ValueError(f"The network has no layer {path!r}.") from None
