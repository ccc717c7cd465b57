"""A block that an extracted network has and its architecture does not, or the other way round."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alteration:
    """A block that was taken out of a network, or put in.

    path: of the block. module: what makes the one put in (`harness.extraction.modules`); None for one that
    was taken out, where an identity stands. behind: name of the module in the same nn.Sequential that it
    stands behind; None where it took the place of another.
    """

    path: str
    module: dict[str, Any] | None = None
    behind: str | None = None
