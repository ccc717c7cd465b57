"""The contract of an architecture: a family of networks given by the sizes of its layers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import nn

#: Layers of a shipped family: what asks for more would take minutes to plan, and nobody can train it.
MOST_LAYERS = 1_000


@runtime_checkable
class Architecture(Protocol):
    """A family of networks, built from the number of units of each sized layer.

    Implementations are frozen dataclasses whose fields are the options a study file may set. Importing a
    module that defines one must not import torch: a study is planned without it.
    """

    @property
    def sized_layers(self) -> tuple[str, ...]:
        """Names of the layers whose size may be chosen, from input to output; none for a family of one size.

        A name is the path, in the built network, of the module that produces the units
        (`network.get_submodule(name)`), so it also names the layer in edits and in the size ledger. A
        block that may be absent is a sized layer of size 0 or 1.
        """
        ...

    @property
    def sized_blocks(self) -> tuple[str, ...]:
        """Those of `sized_layers` that are blocks: `build` is asked for them with 1, or with 0 to leave them
        out. Where a study gives them no range of their own they are there."""
        return ()

    def check(self, example_shape: tuple[int, ...]) -> None:
        """Raise ValueError, in one sentence, if examples of this shape do not suit the family; subclass
        `Architecture` explicitly to accept all. A study is refused by it before anything runs."""
        return  # not "...", which type checkers take for a method that each family has to bring

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        """Build the network, initialised from torch's global generator, which the caller has seeded.

        Args:
            example_shape: shape of one example, without the batch axis, e.g. (1, 28, 28).
            outputs: length of the network's output, e.g. the number of classes.
            sizes: units of every sized layer.

        Returns:
            A plain module that maps [batch, *example_shape] to [batch, outputs]: no trace of any method.
        """
        ...


@runtime_checkable
class Examined(Protocol):
    """What an architecture may bring besides, if only a look at a built network shows whether it fits."""

    def examine(
        self,
        example_shape: tuple[int, ...],
        outputs: int,
        sizes: Sequence[Mapping[str, int]],
        wanted: Sequence[tuple[int, ...]],
    ) -> None:
        """Raise ValueError, in one sentence, if a network of one of these sizes cannot be built or does not
        map [batch, *example_shape] to [batch, *shape]. A study is refused by it before anything runs.

        Args:
            example_shape, outputs: as `build` takes them.
            sizes: of each network to look at.
            wanted: shapes that an example's output may have; (outputs,) unless an example has many targets.
        """
        ...
