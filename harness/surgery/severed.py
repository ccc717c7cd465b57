"""Whether masks have cut a network's output off from its input."""

from collections.abc import Iterable

import torch
from torch import nn

from harness.surgery.errors import SurgeryError
from harness.surgery.masking import mask_at, masks_of
from harness.surgery.tracing.computed import copied
from harness.surgery.tracing.example import Example, floating, tensors, twice
from harness.surgery.tracing.follow import outputs_of, quiet


def severed(network: nn.Module, example: Example, masked: Iterable[str]) -> tuple[str, ...]:
    """The layers by whose masks the output no longer depends on the input; none if it does.

    A network may be constant on an example by chance (dead activations). So where the input gets no gradient,
    it is asked again of a copy whose weights, where they are not masked, are positive: there every
    path that is left lets something through.

    Args:
        example: a batch, on the network's device; integers have no gradient, and tell nothing.
        masked: parameters that have just been masked further.
    """
    if not any(tensor.is_floating_point() for tensor in tensors(example)) or _depends(network, example):
        return ()
    try:
        if _depends(_opened(network), floating(example, lambda tensor: tensor.double().abs() + 1)):
            return ()
    except SurgeryError:  # no copy runs in double precision, so nothing more can be found out
        return ()
    layers: dict[str, bool] = {}
    for path in masked:
        mask, layer = mask_at(network, path), path.rpartition(".")[0]
        layers[layer] = layers.get(layer, False) or (mask is not None and not mask.any())
    empty = tuple(layer for layer, whole in layers.items() if whole)
    return empty or tuple(layers)


def _depends(network: nn.Module, example: Example) -> bool:
    """Whether the input gets a gradient from a random sum of the outputs, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    with quiet(network), torch.enable_grad():
        network.eval()
        x = twice(floating(example, lambda tensor: tensor.detach().clone()))
        given = [tensor.requires_grad_() for tensor in tensors(x) if tensor.is_floating_point()]
        made = [tensor for tensor in outputs_of(network, x) if tensor.requires_grad]
        if not made:
            return False
        parts = [
            (tensor.double() * torch.randn(tensor.shape, generator=generator).to(tensor.device)).sum()
            for tensor in made
        ]
        try:
            gradients = torch.autograd.grad(torch.stack(parts).sum(), given, allow_unused=True)
        except RuntimeError as error:  # checkpoints that enter autograd anew, values changed in place
            raise SurgeryError(
                f"Nobody can see what the output depends on, for the network has no gradient: {error}"
            ) from error
    return any(gradient is not None and bool((gradient != 0).any()) for gradient in gradients)


@torch.no_grad()
def _opened(network: nn.Module) -> nn.Module:
    """A copy in double precision, with random positive weights in all places that are not masked."""
    try:
        made = copied(network).double()
    except Exception as error:
        raise SurgeryError(f"The network cannot be copied: {error}") from error
    generator = torch.Generator().manual_seed(0)
    for module in made.modules():
        masks = {name: mask for name, _, mask in masks_of(module)}
        for name, parameter in module._parameters.items():
            if parameter is not None:
                drawn = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype) + 0.5
                drawn /= max(1, parameter[0].numel()) if parameter.dim() > 1 else 1
                keep = masks.get(name)
                drawn = drawn.to(parameter.device)
                parameter.copy_(drawn if keep is None else drawn * keep)
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None:
            module.running_mean.zero_()
    return made
