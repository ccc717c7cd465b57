"""Into what a network falls apart, against graphs whose best cut is known or found by trying all."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

from harness.sizing.ledger.partition import crossing, halved, partition
from harness.sizing.ledger.sparse import Partition
from harness.sizing.ledger.sparsity import entries_of, sparsity
from harness.surgery import Mask, apply
from harness.surgery.wiring import wiring


def graph(edges: dict[tuple[int, int], int], count: int) -> csr_array:
    dense = np.zeros((count, count), dtype=np.int64)
    for (a, b), weights in edges.items():
        dense[a, b] = dense[b, a] = weights
    return csr_array(dense)


def clique(start: int, size: int) -> dict[tuple[int, int], int]:
    return dict.fromkeys(combinations(range(start, start + size), 2), 1)


def test_two_cliques_on_a_thread() -> None:
    found = partition(graph({**clique(0, 6), **clique(6, 6), (0, 6): 1}, 12))
    assert (found.units, found.components, found.crossing_2) == (12, 1, 1)
    assert found.weights == 31


def test_what_has_fallen_apart_is_cut_for_nothing() -> None:
    edges = {**clique(0, 20), **clique(20, 20), **clique(40, 20), **clique(60, 20)}
    found = partition(graph(edges, 83))
    assert found == Partition(80, 4 * 190, 4, 0, 0)


@pytest.mark.parametrize("seed", range(6))
def test_halves_are_equal_and_within_a_third_of_the_best(seed: int) -> None:
    random = np.random.default_rng(seed)
    upper = np.triu(random.random((11, 11)) < 0.35, 1) * random.integers(1, 5, (11, 11))
    wired = csr_array(upper + upper.T)
    part = halved(wired)
    assert sorted(np.bincount(part, minlength=2).tolist()) == [5, 6]
    fewest = min(
        crossing(wired, np.isin(np.arange(11), own).astype(np.int64))
        for size in (5, 6)
        for own in combinations(range(11), size)
    )
    assert fewest <= crossing(wired, part) <= 4 * fewest / 3 + 1


def test_the_wiring_of_an_mlp_is_its_weights() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(2, 3)
    started = entries_of(network)
    assert started == {"0.weight": 12, "2.weight": 8}
    assert sparsity(network, started, x[:1]) is None
    keep = torch.tensor([[True, False, True, False], [False, True, False, True]])
    apply(network, None, [Mask("2.weight", keep)], x)
    wired = wiring(network, x)
    assert wired.shape == (6, 6)
    assert wired.sum() == 2 * 4
    found = sparsity(network, started, x[:1])
    assert found is not None
    assert found.left == {"0.weight": 12, "2.weight": 4}
    assert found.partition == Partition(6, 4, 2, 0, 2)
    assert [sum(own.counts) for own in found.histograms.values()] == [12, 4]


def test_weights_of_channels_are_counted_with_all_their_places() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2))
    wired = wiring(network, torch.randn(2, 1, 6, 6))
    assert wired.shape == (7, 7)
    assert wired.sum() // 2 == 2 * 3 * 9 + 12 * 2
