"""The expressivity bottleneck of a layer: what the loss wants of it that its weights cannot give
(Verbockhaven, Rudkiewicz, Chevallier and Charpiat 2024, arXiv 2405.19816)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.sizing.criteria.joints import Joint
from harness.sizing.criteria.newcomers import extended, inputs_of
from harness.sizing.probe import Probe

#: Incoming weights of units that stand for a layer's inputs, so small that activations are straight there.
_SMALL = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Bottleneck:
    """What pairs of new units with opposite weights meet, to first order.

    A pair of incoming weights a and outgoing weights w adds w[entry] times a . phi[entry] to what its reader
    computes, phi what of the layer's inputs arrives there: through ReLU and averages exactly, through maxima
    roughly.

    wanted: [in, all entries of all readers], the mean of phi times what is missing: the negative gradient at
    the reader, less what its own weights and bias could do about it. heard: [in, in], the mean square of phi,
    summed over a reader's entries: for linear readers of single units, what the pair sends has the mean
    square |w|^2 a heard a.
    """

    wanted: Tensor
    heard: Tensor

    def directions(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Incoming [count, in] and outgoing weights [count, entries] of the best pairs, and what they are
        worth [count].

        Of all that send as much they lower the loss most, to first order. Those beyond the rank are zero.
        """
        values, vectors = torch.linalg.eigh(self.heard)
        keep = values > 1e-6 * values.amax().clamp(min=torch.finfo(values.dtype).tiny)
        whiten = vectors[:, keep] / values[keep].sqrt()
        left, sizes, right = torch.linalg.svd(whiten.T @ self.wanted, full_matrices=False)
        some = min(count, len(sizes))
        roots = sizes[:some].sqrt()
        incoming = self.wanted.new_zeros(count, len(self.wanted))
        outgoing = self.wanted.new_zeros(count, self.wanted.shape[1])
        worth = self.wanted.new_zeros(count)
        incoming[:some] = (whiten @ left[:, :some]).T * roots[:, None]
        outgoing[:some] = right[:some] * roots[:, None]
        worth[:some] = sizes[:some]
        return incoming, outgoing, worth


def bottleneck(network: nn.Module, joint: Joint, probe: Probe, x: Tensor, y: Tensor) -> Bottleneck:
    """Measured on a batch; the network is in evaluation mode."""
    fan_in = joint.weight[0].numel()
    unit = _SMALL * torch.eye(fan_in).to(joint.weight)
    tensors = extended(joint, joint.widen(torch.cat([unit, -unit]), {}))
    read = inputs_of(network, joint.readers, tensors, x)
    wanted, heard = [], joint.weight.new_zeros(fan_in, fan_in)
    for path, reader in joint.readers.items():
        own, phi = _split(joint, reader, read[path])
        slope = _slope(network, reader, probe, x, y)
        found = own.T @ own
        inverse = torch.linalg.pinv(found, hermitian=True)
        missing = own @ (inverse @ (own.T @ slope)) - slope
        wanted.append(torch.einsum("no,nie->ioe", missing, phi).flatten(1) / len(x))
        heard += torch.einsum("nie,nje->ij", phi, phi) / len(x)
    return Bottleneck(torch.cat(wanted, 1), heard)


def _split(joint: Joint, reader: nn.Module, read: Tensor) -> tuple[Tensor, Tensor]:
    """What a reader reads already, with a column of ones, [n, k], and phi, [n, in, entries]."""
    columns = _columns(reader, read)
    fan_in = joint.weight[0].numel()
    units = columns.reshape(len(columns), joint.units + 2 * fan_in, -1)
    own, plus, minus = units.split([joint.units, fan_in, fan_in], 1)
    return torch.cat([own.flatten(1), columns.new_ones(len(columns), 1)], 1), (plus - minus) / _SMALL


def _slope(network: nn.Module, reader: nn.Module, probe: Probe, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of each example's loss at what a reader computes: [n, outputs]."""
    made: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
        made.append(output.detach().requires_grad_())
        return made[0].clone()  # what follows may change it in place

    handle = reader.register_forward_hook(keep)
    loss = probe.loss(network, x, y) * len(x)
    handle.remove()
    [slope] = torch.autograd.grad(loss, made)
    if isinstance(reader, nn.Conv2d):
        slope = slope.movedim(1, -1)
    return slope.reshape(-1, slope.shape[-1])


def _columns(reader: nn.Module, read: Tensor) -> Tensor:
    """What a linear or convolutional layer multiplies with its weights: [places of all examples, entries]."""
    if not isinstance(reader, nn.Conv2d):
        return read.reshape(-1, read.shape[-1])
    mode = "constant" if reader.padding_mode == "zeros" else reader.padding_mode
    padded = functional.pad(read, reader._reversed_padding_repeated_twice, mode=mode)
    columns = functional.unfold(padded, reader.kernel_size, dilation=reader.dilation, stride=reader.stride)
    return columns.movedim(1, 2).flatten(0, 1)
