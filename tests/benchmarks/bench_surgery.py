"""What surgery and gates cost, and how exact removal is on networks of full size.

Bars: gates with a penalty of zero cost at most 1.10x of a plain training step (MLP 500-500-500 and LeNet-5
with 50, 50 and 500 units, batch 256) and 1.25x (MLP 64-64-64); one removal costs at most 1 % of an epoch of
235 steps for the network of figure 1 (one layer of 10,000 units); outputs change by at most 1e-10 (float64)
and 1e-5 (float32) of their scale, in evaluation and in training mode; in training mode in float32 by at most
twice the network's own error where that is more.

Beside the change in float32 stands how far the untouched network in float32 is from itself in float64: the
arithmetic's own error, for normalisation by a small batch divides by small spreads, layer after layer. Where
that is over 1e-5, no way of removing units can keep to 1e-5: sums over fewer terms are rounded otherwise.
"""

import copy
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision import models

from harness.sizing.gates.units import attach_gates, dead_units, gates
from harness.surgery import Remove, apply, trace
from tests.benchmarks.timing import machine
from tests.surgery.helpers import change, measure, parameters, removals, silence, some_classes, train

_STEPS_AN_EPOCH = 235
_BATCH = 256

_Make = Callable[[], nn.Sequential]


def _mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = 784
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def _lenet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 50, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(50, 50, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, 10),
    )


def _sized(network: nn.Sequential) -> list[str]:
    """Every layer but the last."""
    made = [name for name, module in network.named_children() if isinstance(module, nn.Linear | nn.Conv2d)]
    return made[:-1]


def _stepper(network: nn.Module, device: str) -> tuple[Callable[[], None], torch.optim.Optimizer]:
    x, y = torch.randn(_BATCH, 1, 28, 28, device=device), torch.randint(0, 10, (_BATCH,), device=device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    return step, optimizer


def _seconds(action: Callable[[], object]) -> float:
    """Of an action, with what it leaves a GPU to do."""
    start = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _gate_overhead(device: str) -> bool:
    print(f"\n{device}: training step with gates against the plain one (medians of alternating steps)")
    kept = True
    cases: tuple[tuple[str, _Make, float, int], ...] = (
        ("MLP 500-500-500", lambda: _mlp(500, 500, 500), 1.10, 150),
        ("LeNet-5 50-50-500", _lenet, 1.10, 20),
        ("MLP 64-64-64", lambda: _mlp(64, 64, 64), 1.25, 600),
    )
    for name, make, bar, steps in cases:
        plain, gated = make().to(device), make().to(device)
        attach_gates(gated, _sized(gated))
        steppers = _stepper(plain, device)[0], _stepper(gated, device)[0]
        times: list[tuple[float, float]] = []
        for index in range(steps + 5):
            pair = tuple(_seconds(step) for step in steppers)
            if index >= 5:
                times.append((pair[0], pair[1]))
        ratio = statistics.median(gated for _, gated in times) / statistics.median(own for own, _ in times)
        kept &= ratio <= bar
        print(f"  {name:20s} {ratio:5.3f}x (bar {bar:.2f}x), plain {1e3 * times[0][0]:.2f} ms")
    return kept


def _removal_time(device: str) -> bool:
    print(f"\n{device}: one removal with the optimizer's state, against an epoch of training")
    kept = True
    cases: tuple[tuple[str, _Make], ...] = (
        ("MLP 10000", lambda: _mlp(10_000)),
        ("MLP 500-500-500", lambda: _mlp(500, 500, 500)),
        ("MLP 64-64-64", lambda: _mlp(64, 64, 64)),
        ("LeNet-5 50-50-500", _lenet),
    )
    for name, make in cases:
        network = make().to(device)
        attach_gates(network, _sized(network))
        step, optimizer = _stepper(network, device)
        example = torch.randn(2, 1, 28, 28, device=device)
        for _ in range(3):
            step()
        own = min(_seconds(step) for _ in range(5))
        removal = min(_seconds(partial(_remove_two, network, optimizer, example)) for _ in range(7))
        traced = min(_seconds(partial(trace, network, example)) for _ in range(5))
        share = removal / (own * _STEPS_AN_EPOCH)
        kept &= share <= 0.01 or name != "MLP 10000"
        print(
            f"  {name:20s} removal {1e3 * removal:7.2f} ms, trace {1e3 * traced:7.2f} ms, "
            f"step {1e3 * own:7.2f} ms: {100 * share:.2f} % of an epoch"
        )
    return kept


@torch.no_grad()
def _remove_two(network: nn.Module, optimizer: torch.optim.Optimizer, example: Tensor) -> None:
    for gate in gates(network).values():
        gate[:2] = 0
    apply(
        network,
        optimizer,
        [Remove(layer, dead, exact=True) for layer, dead in dead_units(network).items()],
        example,
    )


def _full_size() -> dict[str, Callable[[], nn.Module]]:
    quiet = {"num_classes": 10, "dropout": 0.0}
    return {
        "vgg16_bn": lambda: models.vgg16_bn(**quiet),
        "resnet18": lambda: models.resnet18(num_classes=10),
        "resnet50": lambda: models.resnet50(num_classes=10),
        "wide_resnet50_2": lambda: models.wide_resnet50_2(num_classes=10),
        "resnext50_32x4d": lambda: models.resnext50_32x4d(num_classes=10),
        "densenet121": lambda: models.densenet121(num_classes=10),
        "mobilenet_v2": lambda: models.mobilenet_v2(**quiet),
        "mobilenet_v3_large": lambda: models.mobilenet_v3_large(**quiet),
        "efficientnet_b0": lambda: models.efficientnet_b0(**quiet, stochastic_depth_prob=0.0),
        "shufflenet_v2_x1_0": lambda: models.shufflenet_v2_x1_0(num_classes=10),
        "googlenet": lambda: models.googlenet(
            num_classes=10, init_weights=False, dropout=0.0, dropout_aux=0.0
        ),
        "squeezenet1_1": lambda: models.squeezenet1_1(**quiet),
        "convnext_tiny": lambda: models.convnext_tiny(num_classes=10, stochastic_depth_prob=0.0),
        "vit_small": lambda: models.VisionTransformer(64, 8, 6, 6, 384, 1536, num_classes=10),
    }


def _exactness() -> bool:
    print("\nremoval of a quarter of every group's units: change of the output relative to its scale")
    print(
        "  network              type     evaluation  training (own error)  out of reach  parameters left   "
        "trace   apply"
    )
    kept = True
    for name, make in _full_size().items():
        for dtype, bar in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            torch.manual_seed(0)
            network, x = make().to(dtype), torch.randn(4, 3, 64, 64, dtype=dtype)
            optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
            train(network, optimizer, x, 5)
            traced = time.perf_counter()
            structure = trace(network, x[:2])
            traced = time.perf_counter() - traced
            classes = some_classes(structure)
            silence(network, structure, classes)
            before, size = measure(network, x), parameters(network)
            rounded = copy.deepcopy(network).double()
            _, own = change(before, measure(rounded, x.double()))
            taken = time.perf_counter()
            receipt = apply(network, optimizer, removals(structure, classes), x[:2])
            taken = time.perf_counter() - taken
            evaluation, training = change(before, measure(network, x))
            kept &= (
                evaluation <= bar
                and training <= max(bar, 2 * own)
                and structure.refused_share <= 0.2
                and receipt.refused is None
            )
            print(
                f"  {name:20s} {str(dtype)[6:]}  {evaluation:9.1e}  {training:9.1e} ({own:.1e})  "
                f"{100 * structure.refused_share:9.1f} %  {100 * parameters(network) / size:12.1f} %  "
                f"{1e3 * traced:6.0f}  {1e3 * taken:6.0f} ms",
                flush=True,
            )
            if dtype == torch.float64:
                for group in structure.groups:
                    if group.refused and group.refused != "belongs to the network's output":
                        others = len(group.layers) - 1
                        print(f"      refused: {group.layers[0]} and {others} more, {group.refused}")
            del network, optimizer, rounded
            gc.collect()
    return kept


def main() -> bool:
    """Print all figures; whether all bars are kept."""
    torch.set_num_threads(1)
    print(machine())
    devices = ["cpu"]
    if torch.cuda.is_available():
        print(torch.cuda.get_device_name())
        devices.append("cuda")
    else:
        print("cuda: NOT MEASURED, there is no such device here")
    # All parts run, whatever the first ones show.
    timed = [part(device) for device in devices for part in (_gate_overhead, _removal_time)]
    return all([*timed, _exactness()])


if __name__ == "__main__":
    main()
