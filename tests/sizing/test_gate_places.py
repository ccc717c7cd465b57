"""What `places_for_gates` offers `attach_gates` takes, on networks that gates were not written for.

Some of them in `make test`, all in `make test-surgery`.
"""

import os

import pytest
import torch

from harness.sizing.gates import attach_gates, fold_gates, gates, places_for_gates
from harness.surgery import trace
from tests.surgery.trial import both_modes, change, train
from tests.surgery.zoo import ENTRIES

_OWN = [name for name, entry in ENTRIES.items() if entry.source == "own"]
#: Of each kind of layer that is gated in a way of its own, and a few more.
_SOME = ["tied_autoencoder", "translator", "controller", "picture_words", "big_transfer", "elman_tagger"]
#: Whose units answer to no factor: their weights are standardised, and nothing normalises them one by one.
_REFUSED = {"big_transfer": {"3.down", "3.conv3"}}


@pytest.mark.parametrize("name", _OWN if "HARNESS_NETWORKS" in os.environ else _SOME)
def test_every_layer_that_may_be_cut_is_offered_a_place_that_takes_gates(name: str) -> None:
    entry = ENTRIES[name]
    torch.manual_seed(0)
    network, x = entry.build().double(), entry.example(4)
    structure = trace(network, x)
    free = [layer for group in structure.groups if group.removable for layer in group.layers]
    every = dict.fromkeys(places_for_gates(free, structure.norms))
    offered = dict.fromkeys(places_for_gates(free, structure.norms, network))
    assert every.keys() - offered.keys() <= _REFUSED.get(name, set())
    for place in every.keys() - offered.keys():
        with pytest.raises(ValueError, match=rf"^The layer '{place}' [^\n]*\.$"):
            attach_gates(network, [place])
    attach_gates(network, offered)
    assert gates(network).keys() == offered.keys()
    assert all(len(gate) == structure.units.get(place, len(gate)) for place, gate in gates(network).items())
    train(network, torch.optim.SGD(network.parameters(), 1e-3), x, 1)
    before = both_modes(network, x)
    fold_gates(network)
    assert max(change(before, both_modes(network, x))) <= 1e-10
