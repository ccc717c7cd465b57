"""In what a trained network differs from the one that its architecture builds, and how that is done again."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from harness.datasets.residency import machine_bytes
from harness.extraction.alteration import Alteration
from harness.extraction.errors import ExtractionError
from harness.extraction.modules import Described, describe, make
from harness.surgery.changes.draft import Draft
from harness.surgery.donors import was_inserted
from harness.surgery.operations.resize import fit_attributes
from harness.surgery.tracing.paths import layer_of

Shapes = Mapping[str, Sequence[int]]


def alterations_of(trained: nn.Module, built: nn.Module) -> list[Alteration]:
    """The blocks that a method took out and put in, in the order in which they are to be done again.

    Args:
        trained: as a method left it, gates folded. built: as its architecture builds it; it is altered alike.

    Raises:
        ExtractionError: for a block that cannot be described.
    """
    found: list[Alteration] = []
    _compare(trained, built, "", built, found)
    return found


def _compare(
    trained: nn.Module, built: nn.Module, prefix: str, network: nn.Module, found: list[Alteration]
) -> None:
    before: str | None = None
    for name, module in trained.named_children():
        path, own = f"{prefix}{name}", built._modules.get(name)
        step: Alteration | None = None
        if was_inserted(module):
            step = Alteration(path, describe(module, path), before if own is None else None)
        elif type(module) is nn.Identity and own is not None and type(own) is not nn.Identity:
            step = Alteration(path)
        if step is not None:
            found.append(step)
            alter(network, [step])
            own = built._modules[name]
        if own is not None:  # what is missing without having been put in shows in its tensors
            _compare(module, own, f"{path}.", network, found)
        before = name


def alter(network: nn.Module, steps: Sequence[Alteration]) -> None:
    """Take blocks out and put blocks in, in place, without drawing random numbers of the caller.

    Raises:
        ExtractionError: if there is no such place, or a block cannot be made.
    """
    for step in steps:
        parent, _, name = step.path.rpartition(".")
        try:
            holder = network.get_submodule(parent)
        except AttributeError as error:
            raise ExtractionError(f"the network has no place {step.path!r} for a block") from error
        module = _made(step.module)
        if step.behind is None:
            if name not in holder._modules:
                raise ExtractionError(f"the network has no place {step.path!r} for a block")
            holder._modules[name] = module
            continue
        others = dict(holder._modules)
        if step.behind not in others or name in others:
            raise ExtractionError(f"the network has no place behind {step.behind!r} for {step.path!r}")
        holder._modules.clear()
        for other, own in others.items():
            holder._modules[other] = own
            if other == step.behind:
                holder._modules[name] = module


def _made(described: Described | None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return nn.Identity() if described is None else make(described)


def shapes_of(trained: nn.Module, built: nn.Module) -> dict[str, tuple[int, ...]]:
    """Path -> shape, of the tensors of a built network that the trained one has in another shape.

    A bias that the built network declares and does not have counts too: constants were folded into it.
    """
    known, own = built.state_dict(), dict(trained.named_parameters())
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in trained.state_dict().items()
        if name in known and known[name].shape != tensor.shape
    }
    for name, parameter in own.items():
        layer, _, last = name.rpartition(".")
        holder = dict(built.named_modules()).get(layer)
        if name not in known and holder is not None and last in holder._parameters:
            shapes[name] = tuple(parameter.shape)
    return shapes


def reshape(network: nn.Module, shapes: Shapes) -> None:
    """Give tensors other shapes, in place, with all that their modules say of their sizes.

    Raises:
        ExtractionError: if the network has no such tensor.
    """
    draft = Draft(network, None)
    known = {name: tensor.dim() for name, tensor in network.state_dict().items()}
    for path, shape in shapes.items():
        layer, _, name = path.rpartition(".")
        if 4 * math.prod(shape) > machine_bytes():
            raise ExtractionError(
                f"{path!r} of the shape {tuple(shape)} would take more than this machine's memory"
            )
        if path in known and known[path] == len(shape):
            draft.change(path, lambda old, shape=tuple(shape): old.new_zeros(shape))  # type: ignore[misc]
        elif f"{layer}.weight" in known and name in network.get_submodule(layer)._parameters:
            draft.add_parameter(path, [torch.zeros(tuple(shape))], f"{layer}.weight")
        else:
            raise ExtractionError(f"the network has no tensor {path!r} to be given the shape {tuple(shape)}")
    for layer in dict.fromkeys(layer_of(path) for path in shapes):
        fit_attributes(draft, layer)
    draft.commit()
