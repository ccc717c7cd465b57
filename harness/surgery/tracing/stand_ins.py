"""Seeing whether a network reads its parameters from where they are registered."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from harness.surgery.errors import SurgeryError

_CONTAINERS = (list, tuple, set, frozenset, deque, dict)
#: Levels of plain containers that are looked into.
_DEPTH = 6


@contextmanager
def stand_ins(network: nn.Module) -> Iterator[dict[int, str]]:
    """Have other tensors on the same memory stand for all parameters and buffers, as surgery would exchange
    them.

    What reads the old ones nevertheless holds them in a place of its own, where surgery could not reach them.

    Yields:
        id of each tensor that is replaced -> its path. At the end the very same tensors are back.
    """
    paths: dict[int, str] = {}
    made: dict[int, Tensor] = {}
    undo: list[tuple[dict[str, Tensor | None], str, Tensor]] = []
    try:
        for path, module in network.named_modules():
            registries: tuple[dict[str, Tensor | None], ...] = (module._parameters, module._buffers)
            for registry in registries:
                for name, own in registry.items():
                    if own is None or type(own) not in (Tensor, nn.Parameter):
                        continue
                    paths.setdefault(id(own), f"{path}.{name}" if path else name)
                    if id(own) not in made:
                        made[id(own)] = _alias(own)
                    undo.append((registry, name, own))
                    registry[name] = made[id(own)]
        _refresh(network)
        yield paths
    finally:
        for registry, name, own in undo:
            # A forward pass may have put another buffer there, which `quiet` sees to.
            registry[name] = own
        _refresh(network)


def _alias(own: Tensor) -> Tensor:
    alias: Tensor = own.detach()
    if isinstance(own, nn.Parameter):
        alias = nn.Parameter(alias, requires_grad=own.requires_grad)
    alias.__dict__.update(own.__dict__)
    return alias


def _refresh(network: nn.Module) -> None:
    """Recurrent layers of PyTorch's keep a list of their registered parameters."""
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            module._flat_weights = [getattr(module, name, None) for name in module._flat_weights_names]


def check_held(network: nn.Module) -> None:
    """Refuse networks that keep trainable parameters in plain containers, which surgery does not exchange.

    Raises:
        SurgeryError: naming the parameter and the attribute.
    """
    names = {id(parameter): path for path, parameter in network.named_parameters()}
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            if isinstance(module, nn.RNNBase) and name == "_flat_weights":
                continue
            held = _parameter_in(value, _DEPTH) if isinstance(value, _CONTAINERS) else None
            if held is not None:
                where = f"{path}.{name}" if path else name
                known = names.get(id(held))
                what = f"the parameter {known!r}" if known else "a parameter that is not registered"
                raise SurgeryError(
                    f"The attribute {where!r}, a {type(value).__name__}, holds {what}; surgery exchanges "
                    "registered parameters only: hold it in an nn.ParameterList, or take it from its module."
                )


def _parameter_in(value: object, depth: int) -> nn.Parameter | None:
    if isinstance(value, nn.Parameter):
        return value if value.requires_grad else None
    if not depth or not isinstance(value, _CONTAINERS):
        return None
    items = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
    return next((own for item in items if (own := _parameter_in(item, depth - 1)) is not None), None)


def elsewhere(tensor: Tensor, paths: Mapping[int, str]) -> str | None:
    """Why a tensor that was read, and is registered nowhere, cannot be one that surgery leaves alone."""
    known = paths.get(id(tensor))
    if known is not None:
        return (
            f"The network reads {known!r} from a place of its own (a list, an attribute, a closure), not "
            "from the module that it is registered with; surgery would exchange the registered one alone."
        )
    if tensor.requires_grad and tensor.is_leaf:
        return (
            f"The network reads a trainable tensor of shape {tuple(tensor.shape)} that is no registered "
            "parameter (held in a list, an attribute or a closure); register it with its module."
        )
    return None
