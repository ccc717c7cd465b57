"""Weights that a gate could not be folded into, because they are read under another name too."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from harness.sizing.gates.gated import Gated


class Holders:
    """Who holds which tensors of a network: parameters and buffers, and what modules keep beside them."""

    def __init__(self, network: nn.Module) -> None:
        self._known: dict[int, list[tuple[nn.Module, str, Tensor]]] = {}
        for path, module in network.named_modules():
            prefix = f"{path}." if path else ""
            kept = _KEPT | {"_flat_weights"} if isinstance(module, nn.RNNBase) else _KEPT
            beside = {key: value for key, value in vars(module).items() if key not in kept}
            for named in (module._parameters, module._buffers, beside):
                for name, value in named.items():
                    for tensor in _tensors(value):
                        self._known.setdefault(_memory(tensor), []).append((module, prefix + name, tensor))

    def check(self, module: nn.Module, path: str, kind: type[nn.Module]) -> None:
        """See that nobody but a layer holds what its gates would be folded into.

        A layer that runs twice, or lies at several paths, is one layer; its gates act whenever it runs.

        Raises:
            ValueError: in one sentence, that names both.
        """
        gated = cast(type[Gated], kind)
        for target in {*gated.scaled.values(), *gated.second_scaled.values()}:
            holder_path, _, name = target.rpartition(".")
            holder = module.get_submodule(holder_path)
            tensor = holder._parameters.get(name, holder._buffers.get(name))
            if tensor is None:
                continue
            for other, known, held in self._known[_memory(tensor)]:
                own = other is holder and known.rpartition(".")[2] == name
                if not own and _overlap(tensor, held):
                    raise ValueError(
                        f"The layer {path!r} shares its {name!r} with {known!r}: gates that are folded into "
                        "the one would change the other; untie them, or gate another layer."
                    )


#: What every module keeps its own tensors and modules in.
_KEPT = frozenset({"_parameters", "_buffers", "_modules"})


def _tensors(kept: Any) -> Iterator[Tensor]:
    """Tensors in a value, and in plain containers of it."""
    if isinstance(kept, Tensor):
        if kept.layout == torch.sparse_coo:
            yield kept._values()
        elif kept.layout != torch.strided:
            yield kept.values()
        elif not is_lazy(kept):
            yield kept
    elif isinstance(kept, dict):
        for value in kept.values():
            yield from _tensors(value)
    elif isinstance(kept, list | tuple | set | frozenset) or type(kept).__name__ == "deque":
        for value in cast(Iterable[Any], kept):
            yield from _tensors(value)


def _memory(tensor: Tensor) -> int:
    """What views of one tensor have in common."""
    return int(tensor.untyped_storage()._cdata)


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one memory may have entries in common: those cut out of one block do not."""
    (start, end), (first, last) = _reach(one), _reach(other)
    return start < last and first < end


def _reach(tensor: Tensor) -> tuple[int, int]:
    first, entry = tensor.storage_offset(), tensor.element_size()
    last = first + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return int(first * entry), int((last + 1) * entry)
