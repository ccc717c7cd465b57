"""How the gradient of a new unit's incoming weights goes by its outgoing ones, and the other way about."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from harness.sizing.criteria.joints import Joint
from harness.sizing.criteria.newcomers import extended, heard_by
from harness.sizing.probe import Probe

#: Rows of the matrix computed together.
_AT_ONCE = 64


def mixed_derivative(
    network: nn.Module, joint: Joint, probe: Probe, x: Tensor, y: Tensor, offset: float
) -> Tensor:
    """The loss's mixed second derivative in a new unit's outgoing and incoming weights: [out, in].

    Both are zero, and the unit sends what its activation makes of `offset`. With outgoing weights w the
    gradient of its incoming weights is w M, as long as w changes no output (Evci et al. 2022, equation 8, of
    networks of any kind).

    Rows are laid out as `heard_by` takes them; columns are incoming weights and, where the layer has one, the
    bias. The offset is the unit's bias, or else the shift of its normalisation.
    """
    has_bias = joint.bias is not None
    zero = torch.zeros_like(joint.weight[:1])
    passing = {
        path: held.new_full((1,), offset)
        for path, held in joint.normalised().items()
        if path.endswith(".bias") and not has_bias
    }
    bias = joint.weight.new_full((1,), offset) if has_bias else None
    tensors = extended(joint, joint.widen(zero, {}, bias, passing))
    inputs = zero.numel() + has_bias
    outputs = sum(joint.read_by(reader)[:, 0].numel() for reader in joint.readers)

    def loss(incoming: Tensor, outgoing: Tensor) -> Tensor:
        row = incoming[: zero.numel()].reshape(zero.shape)
        weight = tensors[f"{joint.layer}.weight"]
        changed = tensors | {f"{joint.layer}.weight": torch.cat([weight[:-1], row])}
        if has_bias:
            shifted = tensors[f"{joint.layer}.bias"][-1:] + incoming[-1:]
            changed[f"{joint.layer}.bias"] = torch.cat([tensors[f"{joint.layer}.bias"][:-1], shifted])
        for reader, heard in heard_by(joint, outgoing.unsqueeze(0)).items():
            column = joint.laid(reader, heard)
            whole = tensors[f"{reader}.weight"]
            changed[f"{reader}.weight"] = torch.cat([whole[:, : -column.shape[1]], column], 1)
        made: Tensor = functional_call(network, changed, (x,))
        return probe.criterion(made, y)

    first, second = (0, 1) if inputs <= outputs else (1, 0)  # a pass for each entry of the first
    derivative = torch.func.jacrev(torch.func.grad(loss, argnums=first), argnums=second, chunk_size=_AT_ONCE)
    start = joint.weight.new_zeros(inputs), joint.weight.new_zeros(outputs)
    # jacrev runs a pass for each entry of what it differentiates: grad's result, of the side `first`.
    found: Tensor = derivative(*start)
    return found.T if first == 0 else found


def gradient_norms(
    network: nn.Module,
    joint: Joint,
    probe: Probe,
    x: Tensor,
    y: Tensor,
    incoming: Tensor,
    passing: dict[str, Tensor],
) -> Tensor:
    """Norm of the gradient of the outgoing weights of new units that nobody reads yet: [new].

    Args:
        incoming: [new, entries]. passing: as `Widen` takes it.
    """
    tensors = extended(joint, joint.widen(incoming, {}, None, passing))
    weights = [tensors[f"{reader}.weight"].requires_grad_() for reader in joint.readers]
    gradients = torch.autograd.grad(probe.criterion(functional_call(network, tensors, (x,)), y), weights)
    total: Tensor = incoming.new_zeros(len(incoming))
    for gradient in gradients:
        units = gradient.reshape(len(gradient), joint.units + len(incoming), -1)
        total += units[:, joint.units :].square().sum((0, 2))
    return total.sqrt()


def random_directions(like: Tensor, count: int, norm: float, generator: Generator) -> Tensor:
    """Vectors of one norm in random directions: [count, entries]."""
    drawn = torch.randn(count, like[0].numel(), generator=generator, dtype=like.dtype).to(like.device)
    lengths: Tensor = torch.linalg.vector_norm(drawn, dim=1, keepdim=True).clamp(min=math.ulp(1.0))
    return norm * drawn / lengths
