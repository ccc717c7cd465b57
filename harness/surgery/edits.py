"""Edits: what a sizing method may ask to be done to a network in training.

Methods propose, the engine applies. An edit on the network names what it touches by the paths that
`nn.Module.named_modules` and `named_parameters` give; `harness.surgery` carries it out on parameters,
buffers and optimizer state in one step. `NextPhase`, `Stop` and `Note` are for the training loop.

All edits of one proposal speak of the network as the method saw it: paths, indices of units and shapes of
tensors are those before the first of them. They are carried out in their order, so values are those that
earlier ones left. What one takes out is gone for all that follow: what a later one says of it is dropped, and
units that should have been reset are counted in the receipt. What one puts in is out of reach for the others:
it is neither masked nor assigned, and what they say of weights that read it leaves those as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Remove:
    """Take units out of a layer, and out of all that is coupled with them.

    A unit that already sends a constant (its gate is dead, its incoming weights are zero) is removed without
    changing the output: the constant is folded into what follows, or the unit stays and the receipt says
    why. Masked entries of a bias that it is folded into are free from then on. A unit that still varies is
    removed as if it were held at zero, normalisation included.

    layer: path of the module that produces the units; a normalisation or gate behind it names the same
    units; of an attention, units are heads. units: their indices as the layer was seen; removals that follow
    each other count as one, so that two layers of one residual sum can both name a unit. exact: leave units
    that still vary in place, e.g. where another layer of the sum is alive; the receipt names them.
    """

    layer: str
    units: tuple[int, ...]
    exact: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Widen:
    """Add units at the end of a layer.

    incoming: [new, *weight.shape[1:]], weights of the new units; incoming_bias: [new] or None if the layer
    has none; outgoing: consumer path -> weights that read the new units, shaped as the consumer's weight
    with `new` (or the flattened multiple of it) on its input axis. Absent consumers read zeros, so that the
    network's output is unchanged. Optimizer state of new entries is zero.
    passing: path of a parameter or buffer that new units pass through, such as scale, shift or running
    averages of a normalisation -> [new]; at rest where absent.
    """

    layer: str
    incoming: Tensor
    incoming_bias: Tensor | None
    outgoing: dict[str, Tensor]
    passing: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Hold single weights at zero from now on, whatever the optimizer does.

    parameter: its path. keep: bool tensor of the parameter's shape; False entries are zeroed and stay zero.
    Masks only ever grow: an entry masked before stays masked.
    """

    parameter: str
    keep: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Unmask:
    """Let masked weights go: they stay zero until they are trained, and so is what the optimizer remembers.

    parameter: its path. entries: bool tensor of the parameter's shape, or int64 [k], places in the flattened
    parameter; those that are not masked are left as they are.
    """

    parameter: str
    entries: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Assign:
    """Give single weights, or running averages of a normalisation, new values.

    parameter: path of the parameter or buffer. values: [k], one number, or, without entries, of its shape.
    entries: bool tensor of its shape with k entries True (values in their order), or int64 [k], places in the
    flattened parameter; None for all of it. forget: clear the optimizer's memory of the entries; else
    it is kept. Masked entries stay zero, and are not counted.
    """

    parameter: str
    values: Tensor
    entries: Tensor | None = None
    forget: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Reset:
    """Give units of a layer new incoming weights, and clear the optimizer's memory of them alone.

    units: k indices. weight: [k, *weight.shape[1:]]. bias: [k], or None to leave biases as they are.
    """

    layer: str
    units: tuple[int, ...]
    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class RemoveBlock:
    """Replace a residual block (its path) by the identity; refused where it changes shape."""

    block: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a module is made, so that an extracted network can be rebuilt without it.

    make: `module:attribute` or `file.py:attribute` (of a study's plug-in file), a class of modules.
    arguments: its keyword arguments, JSON values.
    """

    make: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class InsertBlock:
    """Put a module where it changes nothing yet and can learn.

    Refused unless the network's output on the example stays as it is (1e-6 of its scale, in evaluation and in
    training mode), and at least one of the module's parameters gets a gradient, biases not counted: a block
    whose weights are all zero would learn no more than a shift.

    place: path of an `nn.Identity` (also one that a `RemoveBlock` has left, of this proposal too), which
    the module replaces; or of a module in an `nn.Sequential`, behind which it goes under the name that
    the receipt tells. module: a copy of it is inserted, on the network's device, and its parameters join the
    optimizer's groups of their like. Make it with `harness.surgery.donor`. recipe: how it is made; not
    needed where it is built of layers of torch.nn and `harness.surgery.Residual` alone.
    """

    place: str
    module: nn.Module
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class NextPhase:
    """End the current phase of the method now."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the trial now; it counts as finished."""

    reason: str


#: Numbers of one note at most, so that records stay small.
MOST_NUMBERS = 64


@dataclass(frozen=True, slots=True)
class Note:
    """Keep what the method has found with the trial's record. Nothing is changed.

    about: what it is of, such as the path of a layer. numbers: by name, `MOST_NUMBERS` at most; one that is
    infinite or undefined is kept as None.

    Raises:
        ValueError: for more numbers.
    """

    about: str
    numbers: Mapping[str, float]

    def __post_init__(self) -> None:
        if len(self.numbers) > MOST_NUMBERS:
            raise ValueError(
                f"a note holds at most {MOST_NUMBERS} numbers, found {len(self.numbers)} on {self.about}"
            )


NetworkEdit = Remove | Widen | Mask | Unmask | Assign | Reset | RemoveBlock | InsertBlock
Edit = NetworkEdit | NextPhase | Stop | Note


@dataclass(frozen=True, slots=True)
class Receipt:
    """What applying edits did.

    removed: layer -> number of units taken out, for every layer that lost some, coupled ones included.
    added: layer -> number of units put in. masked: parameter -> entries newly held at zero. reset: layer ->
    units given new weights. blocks: paths of blocks removed. folded: layers into which a constant of a
    removed unit was folded. exact_in_evaluation_only: those of them to which the unit sent another constant
    in training mode (batch normalisation). refused: layer -> why, for units that were left in place. emptied:
    layers that would have kept no unit, or that would have kept no weight where the output would no longer
    depend on the input, or blocks without which no parameter would be left; then nothing at all was changed.
    output_change: largest absolute change of the output on the example, evaluation and training mode, where
    it was measured. assigned, unmasked: parameter -> entries. inserted: paths of modules put in. dropped:
    layer -> units that were to be reset but had been taken out by then.
    """

    removed: dict[str, int]
    added: dict[str, int]
    masked: dict[str, int]
    reset: dict[str, int]
    blocks: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    exact_in_evaluation_only: tuple[str, ...] = ()
    refused: dict[str, str] | None = None
    emptied: tuple[str, ...] = ()
    output_change: tuple[float, float] | None = None
    assigned: dict[str, int] = field(default_factory=dict)
    unmasked: dict[str, int] = field(default_factory=dict)
    inserted: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell: nothing was changed, refused, dropped or emptied."""
        said = (own.name for own in fields(self) if own.name != "output_change")
        return not any(getattr(self, name) for name in said)
