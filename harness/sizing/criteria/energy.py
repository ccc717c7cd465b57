"""The loss on chosen examples as a function of the network's parameters, in a precision of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from harness.objectives.base import Reduction
from harness.sizing.probe import Probe


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """E(w), the mean loss over examples: what second derivatives are taken of. The network is left alone.

    network: in evaluation mode. criterion: of outputs and targets. batches: of examples, x [batch, ...] and
    y. parameters, buffers: as they stand, detached, in the precision that is computed in.
    """

    network: nn.Module
    criterion: Callable[[Tensor, Tensor, Reduction], Tensor]
    batches: Sequence[tuple[Tensor, Tensor]]
    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]

    @classmethod
    def of(
        cls,
        network: nn.Module,
        probe: Probe,
        examples: int | None,
        generator: Generator,
        dtype: torch.dtype | None = torch.float64,
    ) -> "Energy":
        """On so many random examples of the training part, or on all of it with None.

        Args:
            dtype: None for the network's own.
        """
        if examples is None or examples >= len(probe.part):
            chosen = list(probe.batches())
        else:
            x, y = probe.batch(generator, examples)
            sizes = probe.batch_size
            chosen = list(zip(x.split(sizes), y.split(sizes), strict=True))
        batches = [(_cast(x, dtype), _cast(y, dtype)) for x, y in chosen]
        parameters = {name: _cast(own.detach(), dtype) for name, own in network.named_parameters()}
        buffers = {name: _cast(own, dtype) for name, own in network.named_buffers()}
        return cls(network, probe.criterion, batches, parameters, buffers)

    @property
    def examples(self) -> int:
        """How many they are."""
        return sum(len(x) for x, _ in self.batches)

    def outputs(self, x: Tensor, changed: Mapping[str, Tensor]) -> Tensor:
        """The network's outputs, [batch, ...], with some parameters changed."""
        made: Tensor = functional_call(self.network, {**self.parameters, **self.buffers, **changed}, (x,))
        return made

    def parts(self, changed: Mapping[str, Tensor]) -> Iterator[Tensor]:
        """E of each batch times its share of the examples: scalars whose sum is E, with their graphs."""
        for x, y in self.batches:
            yield self.criterion(self.outputs(x, changed), y, "mean") * (len(x) / self.examples)


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
