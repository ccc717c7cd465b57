"""Edits: what a sizing method may ask to be done to a network in training.

Methods propose, the engine applies. An edit on the network names what it touches by the paths that
`nn.Module.named_modules` and `named_parameters` give; `harness.surgery` carries it out on parameters,
buffers and optimizer state in one step. `NextPhase` and `Stop` are for the training loop.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Remove:
    """Take units out of a layer, and out of all that is coupled with them.

    A unit that already sends a constant (its gate is dead, its incoming weights are zero) is removed without
    changing the output: the constant is folded into what follows, or the unit stays and the receipt says
    why. A unit that still varies is removed as if it were held at zero, normalisation included.

    layer: path of the module that produces the units; a normalisation or gate behind it names the same
    units; of an attention, units are heads. units: their indices as the layer is now; removals that follow
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
    """

    layer: str
    incoming: Tensor
    incoming_bias: Tensor | None
    outgoing: dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Hold single weights at zero from now on, whatever the optimizer does.

    parameter: its path. keep: bool tensor of the parameter's shape; False entries are zeroed and stay zero.
    Masks only ever grow: an entry masked before stays masked.
    """

    parameter: str
    keep: Tensor


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
class NextPhase:
    """End the current phase of the method now."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the trial now; it counts as finished."""

    reason: str


NetworkEdit = Remove | Widen | Mask | Reset | RemoveBlock
Edit = NetworkEdit | NextPhase | Stop


@dataclass(frozen=True, slots=True)
class Receipt:
    """What applying edits did.

    removed: layer -> number of units taken out, for every layer that lost some, coupled ones included.
    added: layer -> number of units put in. masked: parameter -> entries newly held at zero. reset: layer ->
    units given new weights. blocks: paths of blocks removed. folded: layers into which a constant of a
    removed unit was folded. exact_in_evaluation_only: those of them to which the unit sent another constant
    in training mode (batch normalisation). refused: layer -> why, for units that were left in place. emptied:
    layers that would have kept no unit; then nothing at all was changed. output_change: largest absolute
    change of the output on the example, evaluation and training mode, where it was measured.
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
