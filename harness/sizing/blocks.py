"""Residual blocks as methods choose among them: which may go, where one may be put in, what stands."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from harness.search.space import Domain
from harness.sizing.amounts import ends_of
from harness.sizing.base import Cell

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

T = TypeVar("T")
#: What a block is judged by, and what that is divided by (`harness.sizing.criteria.efficiency`).
Worth = Literal["bypass", "size", "gate"]
Cost = Literal["parameter", "mac", "block"]
#: Examples that a network is run on to find its blocks.
LOOKED_AT = 8


def check_worth(worth: str, cost: str, examples: int) -> None:
    """Raise ValueError, in one sentence, for options that are none."""
    for name, found, allowed in (("worth", worth, get_args(Worth)), ("cost", cost, get_args(Cost))):
        if found not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, found {found!r:.80}")
    if examples < 1:
        raise ValueError(f"examples must be at least 1, found {examples}")


def removable_blocks(network: "nn.Module", x: "Tensor") -> tuple[str, ...]:
    """Paths of the residual blocks that are the identity without their branch, in order of execution.

    Of blocks within each other the outermost.

    Args:
        x: [batch, ...], examples as the network sees them.
    """
    from harness.sizing.gates.blocks import places_for_block_gates

    return _outermost(places_for_block_gates(network, x).ends)


def removable_at_start(cell: Cell) -> tuple[str, ...]:
    """`removable_blocks` of the network that a cell starts with; no random number is drawn of others."""
    return _at_start(cell, removable_blocks)


def _at_start(cell: Cell, question: "Callable[[nn.Module, Tensor], T]") -> T:
    """What is found out about the network that a cell starts with, on examples of noise."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        sizes = {layer: cell.start[layer] for layer in cell.architecture.sized_layers}
        network = cell.architecture.build(cell.example_shape, cell.outputs, sizes).eval()
        return question(network, torch.randn(LOOKED_AT, *cell.example_shape))


def check_has_blocks(cell: Cell) -> None:
    """Raise ValueError if no block of a cell's network may go."""
    if not removable_at_start(cell):
        raise ValueError(
            "it works on residual blocks, act(x + branch(x)), that are the identity without their branch, "
            "and this architecture has none"
        )


def check_has_places(cell: Cell) -> None:
    """Raise ValueError if a cell's network has no place behind which a block could be put."""
    if not _at_start(cell, places_behind):
        raise ValueError(
            "it puts blocks behind residual ones, act(x + branch(x)), that follow each other in an "
            "nn.Sequential, and this architecture has none"
        )


def check_quantile(space: Mapping[str, Domain]) -> None:
    """Raise ValueError if the share of the blocks that go each time is no share."""
    for end in ends_of(space["quantile"]):
        if not 0 <= end <= 1:
            raise ValueError(f"space.quantile: a quantile lies between 0 and 1, found {end:g}")


def reach_without_blocks(cell: Cell) -> dict[str, tuple[int, int]]:
    """Sizes that layers can end with where blocks may go, and nothing else changes: 0 within such a block."""
    blocks = removable_at_start(cell)
    return {
        layer: (0 if is_within(layer, blocks) else cell.start[layer], cell.start[layer])
        for layer in cell.architecture.sized_layers
    }


def is_within(layer: str, blocks: Iterable[str]) -> bool:
    """Whether a layer is one of some blocks, or lies in one."""
    return any(layer == block or layer.startswith(f"{block}.") for block in blocks)


def places_behind(network: "nn.Module", x: "Tensor", emptied: Collection[str] = ()) -> "dict[str, Tensor]":
    """Where a block can be put in -> what flows there, [batch, channels, height, width] or [batch, units].

    Behind residual blocks that are members of an `nn.Sequential`, those included that change the shape; and
    in the identities that blocks have left (`emptied`).
    """
    import torch
    from torch import nn

    from harness.sizing.gates.blocks import places_for_block_gates

    found, flows = places_for_block_gates(network, x), dict[str, torch.Tensor]()
    modules = dict(network.named_modules())
    blocks = [path for path in (*found.ends, *found.left_out) if _is_member(network, path)]
    places = [*blocks, *(path for path in emptied if isinstance(modules.get(path), nn.Identity))]

    def note(path: str) -> Any:
        def hook(module: nn.Module, given: object, made: object) -> None:
            if isinstance(made, torch.Tensor) and made.dim() in (2, 4):
                flows[path] = made

        return hook

    hooks = [modules[path].register_forward_hook(note(path)) for path in places]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return {path: flows[path] for path in places if path in flows}


def new_block(flow: "Tensor", inner: int | None, generator: "Generator") -> "nn.Module":
    """A residual block that starts as the identity and can learn: the factor of its last normalisation is
    zero, and nothing before it is.

    Where nothing negative flows, an activation stands behind the sum, as in *Deep Residual Learning for Image
    Recognition*; elsewhere none, or it would not be the identity.

    Args:
        flow: what it will be given: [batch, channels, height, width] or [batch, units].
        inner: channels or units of its middle; as many as flow by unless said.
    """
    from torch import nn

    from harness.surgery import Residual, donor

    width = flow.shape[1]
    middle = inner or width

    def make() -> nn.Module:
        layers: list[nn.Module]
        last: nn.BatchNorm1d | nn.BatchNorm2d
        if flow.dim() == 4:
            last = nn.BatchNorm2d(width)
            layers = [
                nn.Conv2d(width, middle, 3, padding=1, bias=False),
                nn.BatchNorm2d(middle),
                nn.ReLU(),
                nn.Conv2d(middle, width, 3, padding=1, bias=False),
            ]
            for place in (0, 3):
                nn.init.kaiming_normal_(layers[place].weight, nonlinearity="relu")  # type: ignore[arg-type]
            branch = nn.Sequential(*layers, last)
        else:
            last = nn.BatchNorm1d(width)
            layers = [nn.Linear(width, middle, bias=False), nn.BatchNorm1d(middle), nn.ReLU()]
            branch = nn.Sequential(*layers, nn.Linear(middle, width, bias=False), last)
        nn.init.zeros_(last.weight)
        return Residual(branch, nn.ReLU() if bool((flow >= 0).all()) else None)

    return donor(make, generator)


def structure_text(network: "nn.Module", gone: Collection[str] = (), emptied: Collection[str] = ()) -> str:
    """Which blocks survive, and where: "stage1: 0 - 2; stage2: 0 0_1+".

    A block that went is a dash, and one that was put in has a plus. Named are modules of an `nn.Sequential`
    that hold others.

    Args:
        gone: blocks that are about to go. emptied: those that went before.
    """
    from torch import nn

    from harness.surgery.donors import was_inserted

    stages = []
    for path, module in network.named_modules():
        if not isinstance(module, nn.Sequential) or is_within(path, gone):
            continue
        marks, blocks = [], 0
        for name, member in module.named_children():
            own = f"{path}.{name}" if path else name
            is_block = next(member.children(), None) is not None and not isinstance(member, nn.Sequential)
            if own in gone or (own in emptied and isinstance(member, nn.Identity)):
                marks.append("-")
            elif is_block:
                marks.append(f"{name}+" if was_inserted(member) else name)
            blocks += is_block or own in emptied
        if blocks:
            stages.append(f"{path}: {' '.join(marks)}" if path else " ".join(marks))
    return "; ".join(stages)


def number_to_go(quantile: float, of: int) -> int:
    """How many of so many blocks lie in a quantile, to the nearest; a half counts whole."""
    return min(of, math.floor(quantile * of + 0.5))


def _outermost(blocks: Iterable[str]) -> tuple[str, ...]:
    paths = tuple(blocks)
    return tuple(path for path in paths if not any(path.startswith(f"{outer}.") for outer in paths))


def _is_member(network: "nn.Module", path: str) -> bool:
    from torch import nn

    holder = network.get_submodule(path.rpartition(".")[0])
    return type(holder).forward is nn.Sequential.forward
