"""Putting a block in where it changes nothing yet and can learn."""

import copy

import torch
from torch import Tensor, nn

from harness.surgery.certificate import largest_change, outputs
from harness.surgery.changes.draft import Draft
from harness.surgery.donors import mark_inserted
from harness.surgery.edits import InsertBlock
from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.example import Example, twice
from harness.surgery.tracing.follow import outputs_of, quiet

#: Largest change of the output that an insertion may make, relative to the output's scale.
TOLERANCE = 1e-6


def insert_block(draft: Draft, edit: InsertBlock, example: Example, behind: dict[str, str]) -> str:
    """Carry out an `InsertBlock`; the path of the module that was put in.

    Args:
        behind: place -> name of the module that was last put behind it; gets another entry.

    Raises:
        SurgeryError: if there is no such place, or the module changes the output, or cannot learn.
    """
    place, network = edit.place, draft.network
    if not isinstance(edit.module, nn.Module):
        raise SurgeryError(f"No block can be put at {place!r}: {edit.module!r:.80} is no module.")
    if not draft.seen.stands(place) and type(_module(network, place)) is not nn.Identity:
        raise SurgeryError(f"No block can be put at {place!r}: another edit of the proposal takes it out.")
    before = outputs(network, example)
    if not all(bool(tensor.isfinite().all()) for mode in before for tensor in mode):
        raise SurgeryError(
            f"No block can be put at {place!r}: the network's output is not finite, so that nobody could see "
            "whether it changes."
        )
    path = _put(draft, edit, behind)
    block = draft.network.get_submodule(path)
    _check_unchanged(before, outputs(network, example, noisy=block), edit)
    _check_live(network, path, example, edit)
    return path


def _module(network: nn.Module, path: str) -> nn.Module | None:
    try:
        return network.get_submodule(path)
    except AttributeError:
        return None


def _put(draft: Draft, edit: InsertBlock, behind: dict[str, str]) -> str:
    place, network = edit.place, draft.network
    stands = network.get_submodule(place)
    like = next(iter((*network.parameters(), *network.buffers())), torch.empty(0))

    def make(training: bool) -> nn.Module:
        try:
            made = copy.deepcopy(edit.module)
            made.to(device=like.device, dtype=like.dtype if like.is_floating_point() else None)
        except Exception as error:
            raise SurgeryError(f"The block for {place!r} cannot be copied: {error}") from error
        mark_inserted(made, edit.recipe)
        return made.train(training)

    if not place:
        raise SurgeryError("No block can be put in the place of the whole network.")
    if type(stands) is nn.Identity:
        draft.exchange_module(place, lambda old: make(old.training))
        draft.seen.replaced(place)
        return place
    parent, _, child = place.rpartition(".")
    holder = network.get_submodule(parent)
    if type(holder).forward is not nn.Sequential.forward:
        raise SurgeryError(
            f"No block can be put at {place!r}: a {type(stands).__name__} stands there, and it is not in an "
            "nn.Sequential, behind whose modules others can be put."
        )
    name = _free_name(holder, child)
    draft.put_behind(
        f"{parent}.{behind.get(place, child)}" if parent else behind.get(place, child),
        name,
        lambda: make(stands.training),
    )
    behind[place] = name
    return f"{parent}.{name}" if parent else name


def _free_name(holder: nn.Module, child: str) -> str:
    number = 1
    while f"{child}_{number}" in holder._modules:
        number += 1
    return f"{child}_{number}"


def _check_unchanged(
    before: tuple[list[Tensor], list[Tensor]], after: tuple[list[Tensor], list[Tensor]], edit: InsertBlock
) -> None:
    shapes = [[tensor.shape for mode in each for tensor in mode] for each in (before, after)]
    if shapes[0] != shapes[1]:
        raise SurgeryError(f"The block for {edit.place!r} makes the network's output another shape.")
    scales = [max((float(own.abs().max()) for own in mode if own.numel()), default=0.0) for mode in before]
    for name, change, scale in zip(
        ("evaluation", "training"), largest_change(before, after), scales, strict=True
    ):
        if not change <= TOLERANCE * scale:
            raise SurgeryError(
                f"The block for {edit.place!r} changes the network's output in {name} mode by {change:.1e}, "
                f"where its scale is {scale:.1e}; a block must be inserted as the identity (at most "
                f"{TOLERANCE:.0e} of the scale is allowed)."
            )


def _check_live(network: nn.Module, path: str, example: Example, edit: InsertBlock) -> None:
    """See that some weight of a block gets a gradient from a random sum of the outputs."""
    block = network.get_submodule(path)
    named = {name: own for name, own in block.named_parameters() if own.requires_grad}
    # Of a block of zeros the last bias alone gets a gradient, and nothing else ever will.
    own = [each for name, each in named.items() if name.rpartition(".")[2] != "bias"] or list(named.values())
    generator = torch.Generator().manual_seed(0)
    with quiet(network), torch.enable_grad():
        network.eval()
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.train()
        parts = [
            made.double().mul(_random(made, generator)).sum()
            for made in outputs_of(network, twice(example))
            if made.requires_grad
        ]
        gradients: tuple[Tensor | None, ...] = ()
        if parts and own:
            gradients = torch.autograd.grad(torch.stack(parts).sum(), own, allow_unused=True)
    found = [gradient for gradient in gradients if gradient is not None]
    if not any(bool(gradient.any()) for gradient in found):
        raise SurgeryError(
            f"The block for {edit.place!r} would never learn: no weight of it gets a gradient; let its "
            "last factor alone be zero, and not what stands before it."
        )
    if not all(bool(gradient.isfinite().all()) for gradient in found):
        raise SurgeryError(f"The block for {edit.place!r} has a gradient that is not finite.")


def _random(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device)
