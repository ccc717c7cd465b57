"""Which buffers of a module are masks of surgery's own.

A mask of the parameter <name> is a buffer <name>_mask beside it. A network may have buffers of such names
that mean something else, so a module that has been given masks remembers for which of its parameters.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from harness.surgery.errors import SurgeryError

#: What a buffer is called that holds entries of the parameter <name> at zero.
MASK_SUFFIX = "_mask"
_MASKED = "harness_masked"


def masked_names(module: nn.Module) -> tuple[str, ...]:
    """Names of a module's parameters that were masked."""
    names: tuple[str, ...] = getattr(module, _MASKED, ())
    return names


def masks_of(module: nn.Module) -> Iterator[tuple[str, nn.Parameter, Tensor]]:
    """Name, parameter and mask of each masked parameter of a module; True entries are free."""
    for name in masked_names(module):
        parameter, mask = module._parameters.get(name), module._buffers.get(name + MASK_SUFFIX)
        if parameter is not None and mask is not None:
            yield name, parameter, mask


def mask_at(network: nn.Module, path: str) -> Tensor | None:
    """The mask of the parameter at a path, or None."""
    layer, _, name = path.rpartition(".")
    return next((mask for own, _, mask in masks_of(network.get_submodule(layer)) if own == name), None)


def set_mask(module: nn.Module, name: str, mask: Tensor) -> str:
    """Give a parameter a mask that it did not have; the name of the buffer.

    Raises:
        SurgeryError: if the module has something else of that name.
    """
    if hasattr(module, name + MASK_SUFFIX):
        raise SurgeryError(
            f"The parameter {name!r} of a {type(module).__name__} cannot be masked: the module has something "
            f"of its own that is called {name + MASK_SUFFIX!r}."
        )
    module.register_buffer(name + MASK_SUFFIX, mask)
    setattr(module, _MASKED, (*masked_names(module), name))
    return name + MASK_SUFFIX


def unset_mask(module: nn.Module, name: str, before: tuple[str, ...]) -> None:
    """Take a mask back that `set_mask` gave."""
    del module._buffers[name + MASK_SUFFIX]
    setattr(module, _MASKED, before)
