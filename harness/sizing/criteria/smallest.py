"""Choosing exactly so many of the smallest, ties in their order."""

from collections.abc import Mapping

import torch
from torch import Tensor


def smallest(scores: Mapping[str, Tensor], count: int, *, by_layer: bool = False) -> dict[str, Tensor]:
    """Which of the scores are the `count` smallest: parameter -> bool [k].

    Of equal ones those that come first go. By layer, each parameter gives the same share of its own, to
    within one weight, and together they give `count`.

    Args:
        scores: parameter -> [k], finite.
        count: from 0 up to the number of scores.
    """
    total = sum(len(own) for own in scores.values())
    if not 0 <= count <= total:
        raise ValueError(f"{count} of {total} weights cannot be chosen")
    if by_layer:
        counts = apportioned({name: len(own) for name, own in scores.items()}, count)
        return {name: _smallest(own, counts[name]) for name, own in scores.items()}
    chosen = _smallest(torch.cat(list(scores.values())), count) if scores else torch.zeros(0)
    parts = chosen.split([len(own) for own in scores.values()])
    return dict(zip(scores, parts, strict=True))


def apportioned(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Shares of `count` in proportion to sizes, whole numbers that add up to it (largest remainders)."""
    total = sum(sizes.values()) or 1
    shares = {name: divmod(size * count, total) for name, size in sizes.items()}
    found = {name: whole for name, (whole, _) in shares.items()}
    inorder = sorted(shares, key=lambda name: -shares[name][1])  # stable: ties in their order
    for name in inorder[: count - sum(found.values())]:
        found[name] += 1
    return found


def _smallest(scores: Tensor, count: int) -> Tensor:
    if not count:
        return torch.zeros_like(scores, dtype=torch.bool)
    bound = scores.kthvalue(count).values
    chosen = scores < bound
    ties = (scores == bound).nonzero().flatten()
    chosen[ties[: count - int(chosen.sum())]] = True
    return chosen
