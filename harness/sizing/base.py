"""The contract of a sizing method: it proposes, the engine applies.

A method says what is searched, builds the starting network, divides training into phases, may add a penalty
to the loss and may change tensors after a step, and proposes edits at given moments. It never touches a
module or the optimizer itself, so exactness, optimizer state, size ledgers, costs and checkpoints are written
once, in the engine.

Everything that a method computes inside a step (`penalty`, `after_step`) is a pure function of named tensors
and of per-trial numbers that are tensors themselves. So the same code serves one trial and, under
`torch.func.vmap`, a stack of trials trained in one computation.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from harness.search.space import Domain, Int, Scalar
from harness.sizing.multiplier import Multiplier

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from harness.architectures.base import Architecture
    from harness.sizing.interval import Epoch
    from harness.sizing.origin import OriginOutcome
    from harness.sizing.probe import Probe
    from harness.surgery.edits import Edit

Params = Mapping[str, Scalar]
#: What a method carries through a trial: tensors and JSON values only, so that a checkpoint needs no pickle.
#: What belongs to single units lives in buffers of the network instead, where surgery keeps it in step.
State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a method is put to work: one data set and one architecture with its bounds.

    bounds: sized layer -> range that searched sizes are drawn from.
    start: sized layer -> units that a method starts with if it shrinks (the upper bound unless said).
    origin: how the trial ended that this one begins from, where the study says `of:`. None without one, and
    while the study is planned, before any trial has run: then `space` and `reach` are asked, and `build` for
    a look at the network, so a control must cope.
    steps: sized layer -> units that go together, where these are several: sizes are multiples of it.
    multiplier: what sizes are drawn by, if by one number for all layers.
    """

    architecture: "Architecture"
    example_shape: tuple[int, ...]
    outputs: int
    bounds: Mapping[str, Int]
    start: Mapping[str, int]
    origin: "OriginOutcome | None" = None
    steps: Mapping[str, int] = field(default_factory=dict)
    multiplier: Multiplier | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the study asks of training, the same for every arm of a cell.

    train_examples: of one pass over the training part; 0 where no data set is meant.
    origin: as in `Cell`; None while phases are asked for to plan the study.
    """

    epochs: int
    learning_rate: float
    train_examples: int = 0
    origin: "OriginOutcome | None" = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training with one setting. Phases follow each other; each starts a new optimizer setting,
    not a new optimizer: its state is kept.

    epochs: number of measured intervals; after each, edits are asked for and the validation score is taken.
    learning_rate, weight_decay: of the optimizer; weight decay never touches gates. The study's schedule
    multiplies the rate, beginning anew with each phase.
    steps_per_epoch: steps in an interval; None for one pass over the training part, 0 to edit and measure
    without a step.
    edit_every_steps: ask for edits also after every so many steps; None for ends of epochs alone.
    selectable: whether the epochs of this phase may be selected by their validation score.
    """

    epochs: int
    learning_rate: float
    weight_decay: float = 0.0
    steps_per_epoch: int | None = None
    edit_every_steps: int | None = None
    selectable: bool = True
    name: str = "train"

    def __post_init__(self) -> None:
        counts = {"epochs": self.epochs}
        counts |= {"edit_every_steps": self.edit_every_steps} if self.edit_every_steps is not None else {}
        if self.steps_per_epoch is not None and operator.index(self.steps_per_epoch) < 0:
            raise ValueError(
                f"a phase's steps_per_epoch must be 0 or more, found {self.steps_per_epoch!r:.80}"
            )
        for name, count in counts.items():
            if operator.index(count) < 1:  # raises TypeError for what is no whole number
                raise ValueError(f"a phase's {name} must be 1 or more, found {count!r:.80}")
        rates: dict[str, Any] = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        for name, rate in rates.items():
            if isinstance(rate, str) or not 0 <= float(rate) < math.inf:
                raise ValueError(f"a phase's {name} must be a number from 0 up, found {rate!r:.80}")
        if not isinstance(self.name, str):
            raise TypeError(f"a phase's name must be a text, found {self.name!r:.80}")


def checked_phases(proposed: Iterable[object]) -> tuple[Phase, ...]:
    """The phases that a method proposed.

    Raises:
        ValueError: in one sentence, if these are none, or no epoch of them may be selected.
    """
    phases: list[Phase] = []
    for phase in proposed:
        if not isinstance(phase, Phase):
            raise ValueError(f"a method proposed {phase!r:.80}, which is no phase")
        phases.append(phase)
    if not phases:
        raise ValueError("a method proposed no phases")
    if not any(phase.selectable for phase in phases):
        raise ValueError("the method's phases allow no epoch to be selected")
    return tuple(phases)


@dataclass(frozen=True, slots=True)
class Moment:
    """When edits are asked for. Epochs and steps are counted over the trial from 1; 0 before the first.

    phase: index of the phase, from 0. epoch_ended, phase_ended: whether this is the end of one.
    """

    phase: int
    epoch: int
    step: int
    epoch_ended: bool
    phase_ended: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a method may look at when it is asked for edits.

    network: as it stands, to be read, in evaluation mode: looking at it neither moves running statistics nor
    draws random numbers. probe: measures losses and gradients on batches of the training part.
    generator: the source of the method's random choices, on the CPU.
    history: the measured intervals so far, validation scores among them; at the end of an interval, up to the
    one before, since an interval is measured after its edits.
    """

    moment: Moment
    network: "nn.Module"
    state: State
    params: Params
    cell: Cell
    probe: "Probe"
    generator: "Generator"
    history: "tuple[Epoch, ...]" = ()


class SizingMethod(Protocol):
    """A way of choosing a network's size. Subclass it explicitly to inherit the defaults.

    Implementations are frozen dataclasses whose fields are the options a study file may set.

    controls: names of the methods that a claim for this one needs beside it, each begun from its trials;
    `controls: all` in a study adds them. needs_origin: whether it works only where the study says `of:`.
    """

    controls: ClassVar[tuple[str, ...]] = ()
    needs_origin: ClassVar[bool] = False

    def space(self, cell: Cell) -> dict[str, Domain]:
        """What one trial draws: parameter name -> range. A study file may narrow or replace any entry."""
        ...

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        """Smallest and largest number of units each sized layer can end with, given the space in use; 0 and 1
        for a block that may go.

        The plan compares this between arms: arms that cannot reach the same sizes are not like for like.
        """
        ...

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        """Raise ValueError, in one sentence, if the method cannot work in this cell (it shrinks layers, and
        the architecture has no sized ones), or the space in use holds values that it cannot train with.
        A study is refused by it before anything runs."""
        return  # not "...", which type checkers take for a method that each subclass has to bring

    def can_begin_from(self, origin: "OriginOutcome") -> bool:
        """Whether a trial can be made of an origin that has failed; asked of no other. By default it cannot:
        then the trial ends as its origin did, at no cost."""
        return False

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        """Units of each sized layer of the network that `build` makes."""
        ...

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        """The network before its first step, and the method's state.

        Torch's global generator has been seeded with the trial's seed.
        """
        return cell.architecture.build(cell.example_shape, cell.outputs, self.start_sizes(cell, params)), {}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        """The phases of training, in order; one phase with the study's schedule by default."""
        return (Phase(schedule.epochs, schedule.learning_rate),)

    def numbers(self, cell: Cell, params: Params) -> dict[str, float]:
        """What `penalty` and `after_step` calculate with; the trial's numeric parameters by default."""
        return {
            name: float(value)
            for name, value in params.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    def penalty(self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]") -> "Tensor | None":
        """What is added to the loss of a step: a scalar tensor, or None for nothing. Pure.

        Args:
            tensors: the network's named parameters.
            numbers: what the method's `numbers` gave, as 0-dimensional tensors on the same device.
        """
        return None

    def penalty_gradient(
        self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]"
    ) -> "Mapping[str, Tensor] | None":
        """The gradient of `penalty` in closed form: parameter -> what is added to its gradient. Pure.

        For a method whose penalty is simple, and whose steps shall not pay for its graph; `penalty` is then
        not asked while training. None, as by default, to have it differentiated. Arguments as of `penalty`.
        """
        return None

    def after_step(
        self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]", learning_rate: float
    ) -> "Mapping[str, Tensor]":
        """New values of named parameters or buffers after an optimizer step (a proximal step, a running
        mean of signs); empty for none. Pure: the engine copies the values in."""
        return {}

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        """Propose edits: called once before the first step, at every end of an epoch, and in between if the
        phase asks for it. Must not change the network.

        Returns:
            The new state and the edits, applied in their order.
        """
        return now.state, ()
