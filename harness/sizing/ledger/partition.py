"""Into what a network falls apart, or can be cut (*Optimal Lobotomy* (Lee), section 4: model parallelism)."""

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from harness.sizing.ledger.sparse import Partition

Units = np.typing.NDArray[np.int64]


def partition(wiring: csr_array) -> Partition:
    """Look at a wiring: [units, units], symmetric, numbers of weights (`harness.surgery.wiring`)."""
    bare = csr_array(wiring.copy())
    bare.setdiag(0)
    bare.eliminate_zeros()
    joined = np.flatnonzero(np.diff(bare.indptr))
    graph = bare[joined][:, joined]
    if not len(joined):
        return Partition(0, 0, 0, 0, 0)
    components, _ = connected_components(graph, directed=False)
    halves = halved(graph)
    quarters = halves * 2
    for half in (0, 1):
        own = np.flatnonzero(halves == half)
        quarters[own] += halved(graph[own][:, own])
    crossings = crossing(graph, halves), crossing(graph, quarters)
    return Partition(len(joined), int(graph.sum()) // 2, int(components), *crossings)


def crossing(graph: csr_array, part: Units) -> int:
    """Weights between units of different parts."""
    edges = graph.tocoo()
    return int(edges.data[part[edges.row] != part[edges.col]].sum()) // 2


def halved(graph: csr_array) -> Units:
    """Two halves of equal numbers of units, to within one, with few weights between them: 0 or 1 for each.

    First along the second eigenvector of the normalised wiring, which keeps components together; then units
    change places, two at a time, as long as that helps (Kernighan and Lin 1970).
    """
    count = graph.shape[0]
    part = np.zeros(count, dtype=np.int64)
    part[np.argsort(_order(graph), kind="stable")[count // 2 :]] = 1
    for _ in range(count):
        sides = 2 * part - 1
        # What a unit's change of sides takes off the weights that cross.
        gains = -sides * (graph @ sides)
        pair = [_best(gains, part == side) for side in (0, 1)]
        if min(map(len, pair)) == 0:
            break
        first, second = pair[0], pair[1]
        together = gains[first][:, None] + gains[second] - 2 * graph[first][:, second].toarray()
        if together.max() <= 0:
            break
        i, j = np.unravel_index(int(together.argmax()), together.shape)
        part[first[i]], part[second[j]] = 1, 0
    return part


#: Units of each side that are tried against each other.
_TRIED = 16


def _best(gains: Units, own: np.typing.NDArray[np.bool_]) -> Units:
    places = np.flatnonzero(own)
    return places[np.argsort(-gains[places], kind="stable")[:_TRIED]]


def _order(graph: csr_array) -> np.typing.NDArray[np.float64]:
    """A number for each unit; those that are wired closely have like ones."""
    count = graph.shape[0]
    scale = 1 / np.sqrt(np.maximum(graph.sum(axis=0), 1).astype(float))
    normed = diags_array(scale) @ graph.astype(float) @ diags_array(scale)
    if count < 32:  # too few for an iteration
        return np.asarray(np.linalg.eigh(normed.toarray())[1][:, -min(2, count)] * scale)
    start = np.random.Generator(np.random.PCG64(0)).standard_normal(count)
    try:
        _, vectors = eigsh(normed, k=2, which="LA", v0=start, tol=1e-6, maxiter=20 * count)
    except ArpackNoConvergence:  # it is no more than where the exchange begins
        return start
    return np.asarray(vectors[:, 0] * scale)
