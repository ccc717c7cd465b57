"""Networks cut to half their widths against the same ones written at that width.

Bars: the same shapes; the same weights bit for bit under one seed; the same outputs in both modes; building
one takes at most 10 of its own training steps at batch 64 (Adam, cross-entropy, on the CPU).
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

from harness.architectures.base import Architecture
from harness.architectures.lenet5 import LeNet5
from harness.architectures.mlp import MLP
from harness.architectures.narrowing import narrowed, units_of
from harness.architectures.resnet import ResNet
from harness.surgery.resizing.groups import width_groups
from tests.benchmarks.timing import machine
from tests.surgery.networks import Narrow, Transformer

_BATCH, _REPEATS, _MOST_STEPS = 64, 5, 10.0
_PICTURES, _DIGITS = (3, 32, 32), (1, 28, 28)

Make = Callable[[], nn.Module]


def _family(
    architecture: Architecture, shape: tuple[int, ...], full: int | Mapping[str, int]
) -> tuple[Make, Make]:
    """A family's networks of full and of half sizes."""
    wide = full if isinstance(full, Mapping) else dict.fromkeys(architecture.sized_layers, full)
    half = {layer: size // 2 for layer, size in wide.items()}
    return partial(architecture.build, shape, 10, wide), partial(architecture.build, shape, 10, half)


def _cifar_resnet() -> tuple[Make, Make]:
    architecture = ResNet(depth=20)
    stages = {"conv1": 16, "stage1": 16, "stage2": 32, "stage3": 64}
    return _family(
        architecture, _PICTURES, {name: stages[name.split(".")[0]] for name in architecture.sized_layers}
    )


def _pairs() -> Iterator[tuple[str, tuple[int, ...], Make, Make]]:
    yield "mlp 500-500-500", _DIGITS, *_family(MLP(hidden_layers=3), _DIGITS, 500)
    yield "lenet5 50-50-500", _DIGITS, *_family(LeNet5(), _DIGITS, {"conv1": 50, "conv2": 50, "fc1": 500})
    yield "resnet-20 (CIFAR)", _PICTURES, *_cifar_resnet()
    yield "torchvision resnet18", _PICTURES, partial(models.resnet18, num_classes=5), partial(Narrow, 32)
    mobile = partial(models.MobileNetV2, num_classes=10)
    yield (
        "torchvision mobilenet_v2",
        _PICTURES,
        partial(mobile, width_mult=1.0),
        partial(mobile, width_mult=0.5),
    )
    yield "transformer", (3, 8, 8), partial(Transformer, 128, 512), partial(Transformer, 64, 256)


def main() -> bool:
    """Print a row a network; whether all bars are met."""
    print(machine())
    columns = f"{'build, s':>10}{'step, s':>9}{'steps':>7}"
    print(f"{'network':26}{'shapes':>8}{'bits':>12}{'spread':>8}{'outputs':>9}{columns}")
    met = [_row(*pair) for pair in _pairs()]  # every row, also after one that fell short
    return all(met)


def _row(name: str, shape: tuple[int, ...], make: Make, make_narrow: Make) -> bool:
    torch.manual_seed(0)
    native = make_narrow()
    sizes = _sizes(make(), native, shape)
    torch.manual_seed(0)
    network = narrowed(make, shape, sizes)
    own, wanted = network.state_dict(), native.state_dict()
    same_shapes = {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in wanted.items()}
    equal = sum(torch.equal(own[path], wanted[path]) for path in wanted) if same_shapes else 0
    ratios = [float(own[p].std() / wanted[p].std()) for p in wanted if same_shapes and _is_drawn(wanted[p])]
    network.load_state_dict(wanted)
    outputs = _largest_difference(network, native, torch.randn(8, *shape))
    build = _median(lambda: narrowed(make, shape, sizes))
    step = _median(_step(native, shape))
    print(
        f"{name:26}{'equal' if same_shapes else 'differ':>8}{f'{equal}/{len(wanted)}':>12}"
        f"{max(max(ratios), 1 / min(ratios)):8.3f}{outputs:9.1e}{build:10.4f}{step:9.4f}{build / step:7.1f}"
    )
    return same_shapes and equal == len(wanted) and outputs <= 1e-6 and build <= _MOST_STEPS * step


def _sizes(wide: nn.Module, native: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    found = {group.name: units_of(native, group.name) for group in width_groups(wide, torch.zeros(2, *shape))}
    return {name: units for name, units in found.items() if units is not None}


def _is_drawn(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 1 and float(tensor.std()) > 0


def _largest_difference(first: nn.Module, second: nn.Module, x: Tensor) -> float:
    worst = 0.0
    for training in (False, True):
        given = []
        for network in (first, second):
            torch.manual_seed(0)
            given.append(network.train(training)(x).detach())
        worst = max(worst, float((given[0] - given[1]).abs().max() / given[1].abs().max()))
    return worst


def _step(network: nn.Module, shape: tuple[int, ...]) -> Callable[[], None]:
    x, y = torch.randn(_BATCH, *shape), torch.randint(0, 5, (_BATCH,))
    optimizer = torch.optim.Adam(network.parameters())
    network.train()

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    return step


def _median(what: Callable[[], object]) -> float:
    what()
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
