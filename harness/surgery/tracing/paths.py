"""Which layer a tensor belongs to, by its path, and the module at a path."""

from torch import nn


def layer_of(path: str) -> str:
    """The module that uses a parameter or buffer; what it is computed from lies deeper than its module.

    PyTorch keeps what a parametrized weight is computed from in `<layer>.parametrizations.<weight>`.
    """
    steps = path.split(".")
    if "parametrizations" in steps[:-2]:
        return ".".join(steps[: steps.index("parametrizations")])
    return path.rpartition(".")[0]


def module_at(network: nn.Module, path: str) -> nn.Module:
    """A module within a network, as `get_submodule` finds it, only faster.

    Raises:
        AttributeError: if there is none.
    """
    module: nn.Module | None = network
    for name in path.split(".") if path else ():
        module = module._modules.get(name) if module is not None else None
    return network.get_submodule(path) if module is None else module
