"""Parameters that lie in the memory of others: exchanging one would part them without a word."""

import torch
from torch import Tensor, nn

#: Where a tensor lies: its storage, and the first and last byte of it that it may reach.
_Place = tuple[int, int, int]


def sharing(network: nn.Module) -> dict[str, str]:
    """Path of each parameter that shares memory with another parameter or buffer -> path of that one.

    One parameter in several places is no other, and parts of one storage that do not overlap, as recurrent
    layers have on a GPU, are no concern.
    """
    by_storage: dict[int, list[tuple[int, int, str, bool]]] = {}
    for path, tensor in [*network.named_parameters(), *network.named_buffers()]:
        place = _place(tensor)
        if place is not None:
            storage, first, last = place
            kept = isinstance(tensor, nn.Parameter)
            by_storage.setdefault(storage, []).append((first, last, path, kept))
    found: dict[str, str] = {}
    for held in by_storage.values():
        held.sort()
        for number, (_, last, path, kept) in enumerate(held):
            for first, _, other, is_parameter in held[number + 1 :]:
                if first > last:
                    break
                found.update({path: other} if kept else {})
                found.update({other: path} if is_parameter else {})
    return found


def _place(tensor: Tensor) -> _Place | None:
    if tensor.is_meta or tensor.layout != torch.strided or not tensor.numel():
        return None
    size = tensor.element_size()
    first = int(tensor.storage_offset()) * size
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    reach = sum((int(length) - 1) * int(stride) for length, stride in steps)
    return tensor.untyped_storage().data_ptr(), first, first + (reach + 1) * size - 1
