"""What a residual block is worth for what it costs (*Self-Optimizing Networks* (Lee), section 4.1).

The paper speaks of efficiency and leaves it undefined. Here a block's worth is the loss that its bypass would
add, or the size of what it adds relative to what it adds it to, or its gate; its cost are its parameters, its
multiply-accumulates, or one.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.sizing.base import Situation
from harness.sizing.blocks import Cost, Worth
from harness.sizing.gates.blocks import block_gates
from harness.sizing.gates.units import gate_parameters
from harness.sizing.ledger.counting import multiply_accumulates
from harness.sizing.probe import Probe
from harness.surgery.tracing.residual import branches


def efficiencies(
    now: Situation, blocks: Sequence[str], worth: Worth, cost: Cost, examples: int
) -> dict[str, float]:
    """Block -> its worth over its cost; what a bypass would improve has a negative one.

    Args:
        examples: of the training part, drawn once and the same for all blocks.
    """
    if not blocks:
        return {}
    x, y = now.probe.batch(now.generator, examples)
    if worth == "bypass":
        values = losses_of_bypass(now.network, blocks, now.probe, x, y)
    elif worth == "size":
        values = sizes_of_branches(now.network, blocks, x[: now.probe.batch_size])
    else:
        gates = block_gates(now.network)
        values = {block: abs(float(gates[block].detach())) if block in gates else 0.0 for block in blocks}
    costs = costs_of(now.network, blocks, cost, x[:1])
    return {block: values[block] / max(1, costs[block]) for block in blocks}


@torch.no_grad()
def losses_of_bypass(
    network: nn.Module, blocks: Sequence[str], probe: Probe, x: Tensor, y: Tensor
) -> dict[str, float]:
    """L(bypass b) - L for each block b, on a batch, in evaluation mode.

    Args:
        x: [batch, ...]. y: [batch, ...].
    """
    trial = copy.deepcopy(network).eval()
    whole = _mean_loss(trial, probe, x, y)
    found = {}
    for block in blocks:
        with _bypassed(trial, block):
            found[block] = _mean_loss(trial, probe, x, y) - whole
    return found


def sizes_of_branches(network: nn.Module, blocks: Sequence[str], x: Tensor) -> dict[str, float]:
    """|f(x)| / |x| of each block act(x + f(x)), Euclidean norms over a batch and all runs of the block."""
    noted = branches(network, x)
    found = {}
    for block in blocks:
        given = sum(float(x.double().square().sum()) for x, _ in noted[block])
        added = sum(float(f.double().square().sum()) for _, f in noted[block])
        found[block] = (added / given) ** 0.5 if given else float("inf")
    return found


@torch.no_grad()
def costs_of(network: nn.Module, blocks: Sequence[str], cost: Cost, example: Tensor) -> dict[str, int]:
    """Parameters, or multiply-accumulates for one example, that go with a block; gates are not counted.

    Args:
        example: [1, ...], on the network's device.
    """
    if cost == "block":
        return dict.fromkeys(blocks, 1)
    if cost == "parameter":
        gates = gate_parameters(network)
        named = [(name, own.numel()) for name, own in network.named_parameters() if name not in gates]
        return {
            block: sum(number for name, number in named if name.startswith(f"{block}.")) for block in blocks
        }
    trial = copy.deepcopy(network).eval()
    whole = multiply_accumulates(trial, example)
    found = {}
    for block in blocks:
        with _bypassed(trial, block):
            found[block] = whole - multiply_accumulates(trial, example)
    return found


def _mean_loss(network: nn.Module, probe: Probe, x: Tensor, y: Tensor) -> float:
    total = 0.0
    for part, wanted in zip(x.split(probe.batch_size), y.split(probe.batch_size), strict=True):
        total += float(probe.loss(network, part, wanted)) * len(part)
    return total / len(x)


@contextmanager
def _bypassed(network: nn.Module, block: str) -> Iterator[None]:
    """The identity in a block's place, under all names that it goes by."""
    module = network.get_submodule(block)
    names = [name for name, own in network.named_modules(remove_duplicate=False) if own is module]
    for name in names:
        _put(network, name, nn.Identity())
    try:
        yield
    finally:
        for name in names:
            _put(network, name, module)


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, child = path.rpartition(".")
    network.get_submodule(parent)._modules[child] = module
