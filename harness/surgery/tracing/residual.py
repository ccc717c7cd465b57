"""Residual blocks: modules that add a branch to their own input, and the layer that such a branch ends in.

A residual block computes act(x + branch(x)) (*Deep Residual Learning for Image Recognition*, He, Zhang, Ren
and Sun). Without its branch it is the identity where the shortcut hands on x itself, and where an activation
behind the sum does nothing to an x that has passed the same activation before. Blocks are found by what they
do, not by their class: the network runs once, and every addition is noted for the module it happens in.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.utils._python_dispatch import TorchDispatchMode

from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.example import Example, twice
from harness.surgery.tracing.follow import quiet, run
from harness.surgery.tracing.plain import check_example, check_plain
from harness.surgery.tracing.tracer import leaves

_ADDITIONS = frozenset({"add", "add_"})
#: Of a branch scaled by one half, relative to its largest entry, in double precision.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ResidualBlocks:
    """The residual blocks of a network, by path, in order of execution.

    ends: block -> path of the layer that its branch ends in. To scale what this layer gives is to scale the
    branch, and with it at zero the block is the identity, in evaluation and in training mode. left_out: block
    -> one sentence that says why it has no such layer. balances: block -> path of a layer that must read its
    input as if the end were not scaled (squeeze and excitation weighs what the end gives by what it has seen
    of it), for the blocks that have one.
    """

    ends: dict[str, str]
    left_out: dict[str, str]
    balances: dict[str, str] = field(default_factory=dict)


def residual_blocks(
    network: nn.Module,
    example: Example,
    may_end: Callable[[nn.Module], bool],
    may_balance: Callable[[nn.Module], bool] = lambda layer: False,
) -> ResidualBlocks:
    """Find the residual blocks of a network.

    Args:
        network: any plain module; left as it is.
        example: a batch as the network will see it, [batch, ...], on its device: whether what a block is
            given has passed an activation shows in the values.
        may_end: which layers to look at as ends of branches. may_balance: which to look at as `balances`.

    Raises:
        SurgeryError: if the network does not run on the example.
    """
    check_plain(network)
    check_example(network, example)
    found = ResidualBlocks({}, {})
    paths = {module: path for path, module in network.named_modules()}
    watched = _watch(network, twice(example))
    for block, runs in watched.items():
        path = paths[block]
        if not path or not any(own.sums for own in runs):
            continue
        reason = _obstacle(path, runs)
        inputs = [own.given for own in runs if own.given is not None]
        ends = _ends_of(block, inputs, may_end, may_balance) if reason is None else ()
        if ends and all(_runs(block, end, watched) == len(runs) for end in ends):
            found.ends[path] = f"{path}.{ends[0]}"
            if len(ends) > 1:
                found.balances[path] = f"{path}.{ends[1]}"
        else:
            found.left_out[path] = reason or (
                f"The block {path!r} has no layer of its own that ends its branch, and leaves the identity "
                "at zero, so it cannot have a gate."
            )
    return found


def branches(network: nn.Module, example: Example) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Block -> of each run of it, what it was given and what its branch added to that, in evaluation mode.

    Modules that add nothing to their own input are left out. Arguments and errors as of `residual_blocks`.
    """
    check_plain(network)
    check_example(network, example)
    paths = {module: path for path, module in network.named_modules()}
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for module, runs in _watch(network, example).items():
        pairs = [(own.given, own.branch) for own in runs if own.given is not None and own.branch is not None]
        if pairs and len(pairs) == len(runs):
            found[paths[module]] = pairs
    return found


@dataclass(slots=True)
class _Run:
    """One run of a module: its one input, its output, its own additions, and what it added to its input."""

    given: Tensor | None = None
    made: Tensor | None = None
    sums: int = 0
    branch: Tensor | None = None


class _Watch(TorchDispatchMode):
    """Notes the runs of modules, by hooks, and the additions of like tensors in each of them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.runs: dict[nn.Module, list[_Run]] = {}
        self._open: list[_Run] = []

    def enter(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """A forward pre-hook."""
        own = _Run()
        x = given[0] if len(given) == 1 and not named else None
        if isinstance(x, Tensor) and x.is_floating_point() and any(True for _ in module.children()):
            # A copy, as branches may begin with an activation in place.
            own.given = x.detach().clone()
        self.runs.setdefault(module, []).append(own)
        self._open.append(own)

    def leave(self, module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        """A forward hook."""
        own, tensors = self._open.pop(), leaves(made)
        own.made = tensors[0] if len(tensors) == 1 else None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ in _ADDITIONS and self._open:
            tensors = [each for each in args[:2] if isinstance(each, Tensor) and each.is_floating_point()]
            if len(tensors) == 2 and tensors[0].shape == tensors[1].shape:
                self._note(self._open[-1], tensors[0], tensors[1])
        return func(*args, **(kwargs or {}))

    def _note(self, own: _Run, left: Tensor, right: Tensor) -> None:
        own.sums += 1
        if own.given is None or left.shape != own.given.shape:
            return
        for shortcut, branch in ((right, left), (left, right)):
            if torch.equal(shortcut, own.given):
                own.branch = branch.detach().clone()


def _watch(network: nn.Module, x: Example) -> dict[nn.Module, list[_Run]]:
    """The runs of all modules in one pass of the network in evaluation mode, in order of execution."""
    watch = _Watch()
    hooks = [module.register_forward_pre_hook(watch.enter, with_kwargs=True) for module in network.modules()]
    hooks += [module.register_forward_hook(watch.leave) for module in network.modules()]
    try:
        with watch:
            run(network, x)
    finally:
        for hook in hooks:
            hook.remove()
    return watch.runs


def _obstacle(path: str, runs: list[_Run]) -> str | None:
    """What keeps a module with sums of its own from being the identity without its branch."""
    for own in runs:
        given, made = own.given, own.made
        if given is None or made is None:
            return f"The block {path!r} has not one input and one output, so it cannot be removed whole."
        if given.shape != made.shape:
            return (
                f"The block {path!r} turns {tuple(given.shape)} into {tuple(made.shape)}: its shortcut is a "
                "projection, so it cannot be removed whole."
            )
        if not given.any():
            return f"The example sends nothing but zeros into the block {path!r}, which shows nothing of it."
        if own.branch is None:
            return (
                f"The block {path!r} does not add its branch to its own input: its shortcut is a projection, "
                "so it cannot be removed whole."
            )
    return None


def _runs(block: nn.Module, path: str, watched: dict[nn.Module, list[_Run]]) -> int:
    """How often a layer of a block has run; the last layer of an attention runs as a part of it."""
    layer = block.get_submodule(path)
    if layer not in watched and _is_projection(layer):
        layer = block.get_submodule(path.rpartition(".")[0])
    return len(watched.get(layer, ()))


def _is_projection(layer: nn.Module) -> bool:
    """Whether a layer is the last one of `nn.MultiheadAttention`, which computes with its weight itself."""
    return isinstance(layer, NonDynamicallyQuantizableLinear)


def _ends_of(
    block: nn.Module,
    inputs: list[Tensor],
    may_end: Callable[[nn.Module], bool],
    may_balance: Callable[[nn.Module], bool],
) -> tuple[str, ...]:
    """Path, in a block, of the last layer that scales its branch and leaves the identity at zero; if there is
    none, of one that does if another one, whose path is the second, sees nothing of it."""
    trial, inputs = _with_random_weights(block), [given.double() for given in inputs]
    try:
        ran = list(_watch(trial, inputs[0].clone()))
    except SurgeryError:  # it does not run in double precision, so nothing can be found out about it
        return ()
    layers = [
        layer
        for module in ran
        for layer in (module, *(own for own in module.children() if own not in ran and _is_projection(own)))
    ]
    paths = {module: path for path, module in trial.named_modules()}
    ends = [layer for layer in reversed(layers) if may_end(layer)]
    for end in ends:
        if _scales(trial, end, [], inputs) and _closes(trial, end, inputs):
            return (paths[end],)
    for end in ends:
        others = [
            layer for layer in layers[layers.index(end) + 1 :] if layer is not end and may_balance(layer)
        ]
        if others and _closes(trial, end, inputs):
            for other in others:
                if _scales(trial, end, [other], inputs):
                    return paths[end], paths[other]
    return ()


def _with_random_weights(block: nn.Module) -> nn.Module:
    """A copy in double precision: weights that start at zero would make every layer look like the end."""
    made = copy.deepcopy(block).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.copy_(drawn / (parameter.numel() / len(parameter)) ** 0.5)
            else:
                drawn = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.copy_(drawn + 0.5)
    return made


def _scales(block: nn.Module, end: nn.Module, others: list[nn.Module], inputs: list[Tensor]) -> bool:
    """Whether scaling what a layer gives scales the block's branch, if others read it as if it were not."""
    for given in inputs:
        whole = _watch(block, given.clone())[block][0].branch
        with _scaled(end, 0.5), _unscaled(others, 0.5):
            half = _watch(block, given.clone())[block][0].branch
        if whole is None or half is None or not whole.any():
            return False
        if (2 * half - whole).abs().max() > _ROUNDING * whole.abs().max():
            return False
    return True


def _closes(block: nn.Module, end: nn.Module, inputs: list[Tensor]) -> bool:
    """Whether the block is the identity where a layer gives nothing."""
    with _scaled(end, 0.0), quiet(block), torch.no_grad():
        return all(
            torch.equal(block.train(mode)(given.clone()), given) for given in inputs for mode in (False, True)
        )


@contextmanager
def _scaled(layer: nn.Module, factor: float) -> Iterator[None]:
    if _is_projection(layer):
        with _multiplied([*layer.parameters()], factor):
            yield
        return
    hook = layer.register_forward_hook(lambda module, given, made: made * factor)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _unscaled(layers: list[nn.Module], factor: float) -> Iterator[None]:
    """Have layers read what is scaled as if it were not."""
    with _multiplied([layer.get_parameter("weight") for layer in layers], 1 / factor):
        yield


@contextmanager
def _multiplied(tensors: list[nn.Parameter], factor: float) -> Iterator[None]:
    held = [tensor.detach().clone() for tensor in tensors]
    with torch.no_grad():
        for tensor in tensors:
            tensor.mul_(factor)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, values in zip(tensors, held, strict=True):
                tensor.copy_(values)
