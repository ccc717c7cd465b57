"""The output before a removal is the output after it, on every network of the list."""

import pytest
import torch

from harness.surgery import apply, trace
from tests.surgery.helpers import (
    change,
    ids,
    images,
    measure,
    optimizer_parameters,
    parameters,
    removals,
    silence,
    some_classes,
    train,
)
from tests.surgery.networks import NETWORKS

#: Share of a network's parameters that no removal may fail to reach.
_REFUSED_SHARE = 0.2
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


@pytest.mark.parametrize("name", NETWORKS)
def test_removal_of_silent_units_leaves_the_output_as_it_was(name: str) -> None:
    make, side = NETWORKS[name]
    torch.manual_seed(0)
    network, x = make().double(), images(4, side)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    train(network, optimizer, x, 5)
    structure = trace(network, x[:2])
    classes = some_classes(structure)
    silence(network, structure, classes)
    before, size = measure(network, x), parameters(network)

    receipt = apply(network, optimizer, removals(structure, classes), x[:2])

    assert receipt.refused is None
    assert structure.refused_share <= _REFUSED_SHARE
    assert max(change(before, measure(network, x))) <= _TOLERANCE[torch.float64]
    assert parameters(network) < 0.85 * size
    for group in structure.groups:
        if group.refused is None and group.classes > 4:
            for layer in group.layers:
                assert receipt.removed[layer] >= 0.24 * structure.units[layer]
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    train(network, optimizer, x, 1)


@pytest.mark.parametrize(
    "name", ["mlp", "lenet5", "resnet18", "densenet", "mobilenet_v3", "shufflenet_v2", "vit", "unet"]
)
def test_the_same_in_single_precision(name: str) -> None:
    make, side = NETWORKS[name]
    torch.manual_seed(0)
    network, x = make(), images(4, side, torch.float32)
    train(network, torch.optim.SGD(network.parameters(), 1e-3), x, 5)
    structure = trace(network, x[:2])
    classes = some_classes(structure)
    silence(network, structure, classes)
    before = measure(network, x)
    apply(network, None, removals(structure, classes), x[:2])
    # Batch normalisation over few values divides by small deviations: rounding grows in training mode.
    evaluation, training = change(before, measure(network, x))
    assert evaluation <= _TOLERANCE[torch.float32]
    assert training <= 10 * _TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", ["mlp", "lenet5", "basic_resnet", "mobilenet_v2", "unet"])
def test_units_that_vary_are_removed_as_if_held_at_zero(name: str) -> None:
    make, side = NETWORKS[name]
    torch.manual_seed(0)
    network, x = make().double(), images(4, side)
    train(network, torch.optim.SGD(network.parameters(), 1e-3), x, 5)
    structure = trace(network, x)
    classes = some_classes(structure)
    reference = make().double()
    reference.load_state_dict(network.state_dict())
    silence(reference, structure, classes)
    apply(network, None, removals(structure, classes, exact=False), x)
    assert max(change(measure(reference, x), measure(network, x))) <= _TOLERANCE[torch.float64]


def test_the_stated_tolerance_would_notice_a_few_units_more() -> None:
    torch.manual_seed(0)
    network, x = NETWORKS["lenet5"][0]().double(), images(4, 32)
    structure = trace(network, x)
    classes = some_classes(structure)
    silence(network, structure, classes)
    before = measure(network, x)
    alive = [name for name in structure.classes["7"] if name not in classes][:4]
    apply(network, None, removals(structure, classes.union(alive), exact=False), x)
    assert change(before, measure(network, x))[0] > 1e-6
