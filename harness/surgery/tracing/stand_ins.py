"""Seeing whether a network reads its parameters from where they are registered."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.scratch import scratch

_CONTAINERS = (list, tuple, set, frozenset, deque, dict)
_REGISTRIES = ("_parameters", "_buffers", "_modules")
#: Levels of plain containers that are looked into.
_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Replaced:
    """Tensors in whose place others stand. paths: id -> path. homes: where their memory begins -> path."""

    paths: Mapping[int, str] = field(default_factory=dict)
    homes: Mapping[int, str] = field(default_factory=dict)

    def astray(self, tensor: Tensor) -> str | None:
        """A sentence on a tensor that was read though another one stands in its place, or that is trained
        though it is registered nowhere; None for any other."""
        path = self.paths.get(id(tensor)) or self.homes.get(_home(tensor))
        if path is not None:
            return (
                f"The network reads {path!r} from a place of its own (a list, an attribute, a closure), not "
                "from the module that it is registered with; surgery would exchange the registered one alone."
            )
        if tensor.requires_grad and tensor.is_leaf:
            return (
                f"The network reads a trainable tensor of shape {tuple(tensor.shape)} that is no registered "
                "parameter (held in a list, an attribute or a closure); register it with its module."
            )
        return None


def _home(tensor: Tensor) -> int:
    """Where a tensor's memory begins; -1 if it has none."""
    return tensor.untyped_storage().data_ptr() or -1 if torch._C._has_storage(tensor) else -1


@contextmanager
def stand_ins(network: nn.Module) -> Iterator[Replaced]:
    """Have copies stand for all parameters and buffers, as surgery would exchange them.

    What reads the old ones nevertheless holds them in a place of its own, where surgery could not reach them.
    At the end the copies have the values again that they began with.
    """
    pairs: list[tuple[Tensor, Tensor]] = []

    def copied(own: Tensor) -> Tensor:
        pairs.append((own.detach().clone(), own))
        return pairs[-1][0]

    with scratch(network, copied) as paths:
        homes = {_home(own): path for (_, own), path in zip(pairs, paths.values(), strict=True)}
        homes.pop(-1, None)
        yield Replaced(paths, homes)
    with torch.no_grad():
        # Batch normalisation writes into its buffers without a word: all of them are seen to.
        held = {id(buffer) for buffer in network.buffers()}
        for copy, own in pairs:
            if copy._version or id(own) in held:
                if copy.shape != own.shape:
                    copy.resize_(own.shape)  # observers of quantisation grow theirs when they first run
                copy.copy_(own)


def check_held(network: nn.Module) -> None:
    """Refuse networks that keep trainable parameters in plain containers, which surgery does not exchange.

    Raises:
        SurgeryError: naming the parameter and the attribute.
    """
    names = {id(parameter): path for path, parameter in network.named_parameters()}
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if not isinstance(value, _CONTAINERS) or not value or name in _REGISTRIES:
                continue
            held = _parameter_in(value, _DEPTH)
            if held is not None and not (isinstance(module, nn.RNNBase) and name == "_flat_weights"):
                where = f"{path}.{name}" if path else name
                known = names.get(id(held))
                what = f"the parameter {known!r}" if known else "a parameter that is not registered"
                raise SurgeryError(
                    f"The attribute {where!r}, a {type(value).__name__}, holds {what}; surgery exchanges "
                    "registered parameters only: hold it in an nn.ParameterList, or take it from its module."
                )


def _parameter_in(value: object, depth: int) -> nn.Parameter | None:
    if isinstance(value, Tensor):
        return value if isinstance(value, nn.Parameter) and value.requires_grad else None
    if not depth or not isinstance(value, _CONTAINERS):
        return None
    items = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
    return next((own for item in items if (own := _parameter_in(item, depth - 1)) is not None), None)
