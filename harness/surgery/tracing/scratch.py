"""Other tensors in the place of a network's own, for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def scratch(network: nn.Module, value: Callable[[Tensor], Tensor]) -> Iterator[dict[int, str]]:
    """Put other tensors in the place of all parameters and buffers; at the end the very same are back.

    Those of a class of their own stay. Recurrent layers of PyTorch's keep a list of theirs, which follows.

    Args:
        value: the tensor that stands in the place of another one, of the same shape.

    Yields:
        id of each tensor that is replaced -> its path.
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
                        new = value(own)
                        if isinstance(own, nn.Parameter):
                            new = nn.Parameter(new, requires_grad=own.requires_grad)
                        new.__dict__.update(own.__dict__)
                        made[id(own)] = new
                    undo.append((registry, name, own))
                    registry[name] = made[id(own)]
        _refresh(network)
        yield paths
    finally:
        for registry, name, own in undo:
            registry[name] = own
        _refresh(network)


def _refresh(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            module._flat_weights = [getattr(module, name, None) for name in module._flat_weights_names]
