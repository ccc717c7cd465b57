"""Networks of the shipped families in double precision, small, and situations that methods are asked in."""

import torch
from torch import Tensor, nn

from harness.architectures.base import Architecture
from harness.architectures.lenet5 import LeNet5
from harness.architectures.mlp import MLP
from harness.architectures.resnet import ResNet
from harness.architectures.vgg16 import VGG16
from harness.datasets.base import Part
from harness.objectives.classification import Classification
from harness.search.space import Int
from harness.sizing.base import Cell, Moment, Params, Situation
from harness.sizing.probe import Probe

FAMILIES: dict[str, tuple[Architecture, tuple[int, ...]]] = {
    "mlp": (MLP(2), (1, 4, 4)),
    "tanh": (MLP(2, activation="tanh"), (1, 4, 4)),
    "lenet5": (LeNet5(), (1, 16, 16)),
    "vgg16": (VGG16(), (1, 8, 8)),
    "resnet": (ResNet(depth=8), (1, 8, 8)),
}


def cell_of(family: str, low: int = 3, high: int = 9) -> Cell:
    architecture, shape = FAMILIES[family]
    layers = architecture.sized_layers
    return Cell(architecture, shape, 4, dict.fromkeys(layers, Int(low, high)), dict.fromkeys(layers, high))


def network_of(family: str, seed: int = 0, units: int = 3) -> nn.Module:
    """With running averages and scales that are not at rest, in evaluation mode."""
    architecture, shape = FAMILIES[family]
    torch.manual_seed(seed)
    network = architecture.build(shape, 4, dict.fromkeys(architecture.sized_layers, units)).double()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(module, name).data.uniform_(0.5, 1.5)
    return network.eval()


def examples(family: str, count: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.rand(count, *FAMILIES[family][1]).double(), torch.randint(4, (count,))


def situation(
    family: str, network: nn.Module, params: Params, phase: int = 0, seed: int = 0, count: int = 12
) -> Situation:
    """At the end of a phase."""
    x, y = examples(family, count, seed)
    return Situation(
        Moment(phase, 1, 1, epoch_ended=True, phase_ended=True),
        network,
        {},
        params,
        cell_of(family),
        Probe(Part(x, y), count, Classification()),
        torch.Generator().manual_seed(seed),
    )
