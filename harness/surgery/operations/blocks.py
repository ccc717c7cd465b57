"""Taking whole residual blocks out."""

import torch
from torch import nn

from harness.surgery.changes.draft import Draft
from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import outputs_of, quiet
from harness.surgery.tracing.tracer import leaves


def remove_block(draft: Draft, path: str, example: Example) -> bool:
    """Put the identity in a block's place; the optimizer forgets the block's parameters.

    Returns:
        Whether there was anything to be removed: not if an identity stands there, or all has gone already.

    Raises:
        SurgeryError: if there is no such module, it is never run, or what it gives has another shape than
            what it is given.
    """
    if not draft.seen.stands(path):
        return False
    block = draft.network.get_submodule(path)
    if not path:
        raise SurgeryError("The whole network cannot be removed as a block.")
    if type(block) is nn.Identity:
        return False
    shapes: list[tuple[list[torch.Size], list[torch.Size]]] = []

    def note(module: nn.Module, given: tuple[object, ...], made: object) -> None:
        shapes.append(([t.shape for t in leaves(given)], [t.shape for t in leaves(made)]))

    hook = block.register_forward_hook(note)
    try:
        with quiet(draft.network), torch.no_grad():
            draft.network.eval()
            outputs_of(draft.network, example)
    finally:
        hook.remove()
    if not shapes:
        raise SurgeryError(f"The block {path!r} is never run, so it cannot be seen to keep the shape.")
    for given, made in shapes:
        if len(given) != 1 or given != made:
            raise SurgeryError(
                f"The block {path!r} turns {[tuple(s) for s in given]} into {[tuple(s) for s in made]}; only "
                "blocks that keep the shape of their one input can be removed."
            )
    names = [name for name, module in draft.network.named_modules(remove_duplicate=False) if module is block]
    draft.exchange_module(path, lambda old: nn.Identity().train(old.training))
    for name in names:
        draft.seen.replaced(name)
    return True
