"""What a method may measure."""

import torch
from torch import nn
from torch.nn import functional

from harness.objectives.classification import Classification
from harness.sizing.probe import Probe
from tests.training.small import a_part

PART = a_part(20, 0)


def numbers(x: torch.Tensor) -> list[int]:
    return [round(float(value) * 20) for value in x[:, 0]]


def test_batches_are_examples_of_the_part_without_repetition() -> None:
    probe = Probe(PART, 8, Classification())
    x, y = probe.batch(torch.Generator().manual_seed(0))
    assert len(set(numbers(x))) == 8
    assert torch.equal(y, PART.y[numbers(x)])
    assert len(probe.batch(torch.Generator(), size=3)[0]) == 3
    assert len(probe.batch(torch.Generator(), size=500)[0]) == 20


def test_batches_depend_on_the_generator_alone() -> None:
    probe = Probe(PART, 8, Classification())
    one, two = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    torch.manual_seed(5)
    first = numbers(probe.batch(one)[0])
    torch.manual_seed(6)
    assert first == numbers(probe.batch(two)[0])
    assert first != numbers(probe.batch(two)[0])


def test_the_loss_has_a_graph() -> None:
    network = nn.Linear(4, 3)
    x, y = PART.x[:5], PART.y[:5]
    loss = Probe(PART, 8, Classification()).loss(network, x, y)
    assert torch.equal(loss, functional.cross_entropy(network(x), y))
    loss.backward()
    assert network.weight.grad is not None
