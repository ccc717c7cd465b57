"""Labels of single positions on the axes of tensors, and the classes of labels that live and die together."""

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]


class Coupling:
    """Disjoint sets of labels (union-find on arrays) and the reasons why some may not be removed.

    Every position on every axis of every parameter and buffer has a label of its own. An operation that
    needs two positions to stay aligned (an addition, a layer reading another) puts their labels into one
    class. A class is then the smallest thing that can be taken out of a network.
    """

    def __init__(self) -> None:
        self._parent: Labels = np.empty(0, dtype=np.int64)
        self._size = 0
        self._frozen: list[tuple[Labels, str]] = []

    def __len__(self) -> int:
        return self._size

    def fresh(self, count: int) -> Labels:
        """New labels, each in a class of its own."""
        if self._size + count > len(self._parent):
            grown = np.arange(max(2 * len(self._parent), self._size + count, 1024), dtype=np.int64)
            grown[: self._size] = self._parent[: self._size]
            self._parent = grown
        labels = np.arange(self._size, self._size + count, dtype=np.int64)
        self._size += count
        return labels

    def roots(self, labels: Labels) -> Labels:
        """The smallest label of each label's class, which names the class."""
        parent = self._parent
        roots = parent[labels]
        while True:
            above = parent[roots]
            if (above == roots).all():
                return roots
            roots = above

    def classes(self) -> Labels:
        """The class of every label, by its root; the parents are made to point there at once."""
        self._parent[: self._size] = self.roots(np.arange(self._size, dtype=np.int64))
        return self._parent[: self._size]

    def members(self, roots: Labels) -> npt.NDArray[np.bool_]:
        """[labels]: whether each label belongs to one of these classes."""
        chosen = np.zeros(self._size, dtype=np.bool_)
        chosen[roots] = True
        return chosen[self.classes()]

    def unite(self, first: Labels, second: Labels) -> None:
        """Put first[i] and second[i] into one class, for every i (arrays of equal or broadcastable shape)."""
        if first is second:
            return
        if first.shape != second.shape:
            first, second = np.broadcast_arrays(first, second)
        while True:
            left, right = self.roots(first), self.roots(second)
            apart = left != right
            if not apart.any():
                return
            # Several pairs may pull one root towards different labels; the minimum wins and the loop
            # comes back for the others.
            low, high = np.minimum(left, right)[apart], np.maximum(left, right)[apart]
            np.minimum.at(self._parent, high, low)

    def freeze(self, labels: Labels, reason: str) -> None:
        """Forbid the removal of these labels' classes."""
        if len(labels):
            self._frozen.append((labels, reason))

    def stuck(self) -> npt.NDArray[np.bool_]:
        """[labels]: True at the roots of classes that may not be removed."""
        stuck = np.zeros(self._size, dtype=np.bool_)
        if self._frozen:
            stuck[self.roots(np.concatenate([labels for labels, _ in self._frozen]))] = True
        return stuck

    def frozen(self) -> dict[int, str]:
        """Class -> the first reason why it may not be removed, for the classes that have one."""
        first = np.full(self._size, -1, dtype=np.int64)
        for number, (labels, _) in reversed(list(enumerate(self._frozen))):
            first[self.roots(labels)] = number
        roots = np.flatnonzero(first >= 0)
        return {
            root: self._frozen[number][1]
            for root, number in zip(roots.tolist(), first[roots].tolist(), strict=True)
        }
