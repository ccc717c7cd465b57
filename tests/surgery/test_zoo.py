"""Networks that surgery was not developed on are cut exactly, or left where a reason is given.

Some of them in `make test`, all in `make test-surgery`, those of other packages in `make test-integrations`.
"""

import os
from functools import partial

import pytest
import torch

from tests.surgery.trial import cut, train
from tests.surgery.zoo import ENTRIES

_TOLERANCE = 1e-10
_OWN = [name for name, entry in ENTRIES.items() if entry.source == "own"]
_SOME = _OWN if "HARNESS_NETWORKS" in os.environ else _OWN[::4]


@pytest.mark.parametrize("name", _SOME)
def test_networks_of_the_zoo(name: str) -> None:
    is_cut_exactly(name)


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
