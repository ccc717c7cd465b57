"""Weights of a local file that networks start with: safetensors, each tensor under its path in the network.

The file must hold every tensor of the network, in its shape. Free is only what depends on the number of
outputs, such as the last layer: where it is missing or of another shape, it starts as the family starts it.
So weights of ImageNet serve a task with ten classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.architectures.base import Architecture
from harness.architectures.imagined import imagined

if TYPE_CHECKING:
    from torch import nn

Shapes = Mapping[str, tuple[int, ...]]

_NAMED = 3
#: Counts of batches, which older files lack and no network of ours reads.
_COUNTS = "num_batches_tracked"


def shapes_in(file: Path) -> dict[str, tuple[int, ...]]:
    """Tensor -> shape, of a safetensors file; only its header is read, and torch is not needed.

    Raises:
        ValueError: if it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as held:
            return {name: tuple(held.get_slice(name).get_shape()) for name in held.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{file} cannot be read as safetensors: {' '.join(str(error).split())}") from error


def shapes_of(
    architecture: Architecture, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]
) -> tuple[dict[str, tuple[int, ...]], frozenset[str]]:
    """Tensor -> shape, of a network of these sizes, and the tensors that depend on the number of outputs.

    Torch's global generator is left as it is.
    """

    def shapes(count: int) -> dict[str, tuple[int, ...]]:
        network = imagined(lambda: architecture.build(example_shape, count, sizes))
        return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    own, other = shapes(outputs), shapes(outputs + 1)
    return own, frozenset(name for name, shape in own.items() if other.get(name) != shape)


def misfit(held: Shapes, wanted: Shapes, free: frozenset[str]) -> str:
    """What keeps a file's tensors from being a network's, in words; "" if nothing does.

    Args:
        held: in the file. wanted: of the network. free: tensors that may be missing or of another shape.
    """
    faults = [
        f"{name} is {list(held[name])} there and {list(shape)} in the network"
        for name, shape in wanted.items()
        if name in held and held[name] != shape and name not in free
    ]
    faults += [
        f"{name} is missing"
        for name in wanted
        if name not in held and name not in free and not name.endswith(_COUNTS)
    ]
    faults += [f"the network has no {name}" for name in held if name not in wanted]
    more = f", and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    return ", ".join(faults[:_NAMED]) + more


def load_weights(network: "nn.Module", file: Path, free: frozenset[str]) -> None:
    """Put a file's tensors into a network, in place; others of its tensors stay as they are.

    Args:
        network: that a method built; it may hold more than its family's does, such as gates.
        free: tensors that are left as they are where the file has another shape.

    Raises:
        ValueError: if the file cannot be read, or holds what the network has in another shape.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{file} cannot be read as safetensors: {' '.join(str(error).split())}") from error
    own = network.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in held.items()}
    wanted = {name: tuple(own[name].shape) for name in own if name in held}
    if fault := misfit(shapes, wanted, free):
        raise ValueError(f"the weights of {file.name} do not fit: {fault}")
    with torch.no_grad():
        for name, tensor in held.items():
            if shapes[name] == wanted[name]:
                own[name].copy_(tensor)
