"""What every network of the zoo is held to."""

from functools import partial

import torch

from tests.surgery.trial import cut, train
from tests.surgery.zoo import ENTRIES

_TOLERANCE = 1e-10


def is_cut_exactly(name: str) -> None:
    """What may not be cut has a reason; what may is cut without changing the outputs, and trains on."""
    entry = ENTRIES[name]
    torch.manual_seed(0)
    network, x = entry.build().double(), entry.example(4)
    done = cut(network, partial(torch.optim.SGD, lr=1e-3, momentum=0.9), x, steps=3)
    evaluation, training = done.change
    assert evaluation <= _TOLERANCE
    assert training <= _TOLERANCE or done.receipt.exact_in_evaluation_only
    assert all(done.refused.values())
    train(done.small, done.small_optimizer, x, 1)
