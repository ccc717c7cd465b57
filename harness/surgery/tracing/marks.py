"""What is known of a tensor during a trace: which units its positions belong to, and what they send."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.surgery.tracing.labels import Labels

#: Positions on an axis.
Positions = npt.NDArray[np.intp]
#: [2, n]: the value in evaluation mode and in training mode; NaN where the input decides.
Values = npt.NDArray[np.float64]
#: [labels]: True for labels whose units are to be taken as held at zero; None for nothing held.
Held = npt.NDArray[np.bool_] | None
#: What is said of units that some reader would miss.
VARIES = "still varies"


class Constant:
    """What the positions on an axis send on, where that does not depend on the network's input.

    Worked out only for the positions that are asked for, because a trace of a large network asks for few.
    """

    __slots__ = ("_compute", "_known")

    def __init__(self, compute: Callable[[Positions, Held], Values]) -> None:
        self._compute = compute
        self._known: dict[tuple[bytes, int], tuple[Values, Held]] = {}

    def at(self, positions: Positions, held: Held) -> Values:
        """Values [2, n] at n positions, with some units held at zero."""
        # Units that lie in several places are asked for once: what lies behind may ask for several again.
        distinct, places = np.unique(positions, return_inverse=True)
        if len(distinct) < len(positions):
            return self.at(distinct, held)[:, places]
        key = (positions.tobytes(), id(held))
        if key not in self._known:
            once, places = np.unique(positions, return_inverse=True)
            # Asked once each: what asks for several positions for one would double them at every step back.
            repeated = len(once) < len(positions)
            values = self.at(once, held)[:, places] if repeated else self._compute(positions, held)
            # `held` is kept beside the value, so that its id is not given to another array.
            self._known[key] = (values, held)
        return self._known[key][0]


def varying(positions: Positions, held: Held) -> Values:
    """Nothing is constant."""
    return np.full((2, len(positions)), np.nan)


VARYING = Constant(varying)


def agreed(constants: Sequence[Constant]) -> Constant:
    """What several senders send where they all send the same."""

    def compute(positions: Positions, held: Held) -> Values:
        first, *others = (constant.at(positions, held) for constant in constants)
        for other in others:
            first = np.where(first == other, first, np.nan)
        return first

    return Constant(compute)


@contextmanager
def deep_chains() -> Iterator[None]:
    """Let constants be worked out that hang on others for thousands of steps, as those of a recurrence do."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 200_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def always(value: float) -> Constant:
    """One number, whatever comes."""

    def compute(positions: Positions, held: Held) -> Values:
        return np.full((2, len(positions)), value)

    return Constant(compute)


def real_numbers(tensor: Tensor) -> npt.NDArray[np.float64]:
    """The same numbers in double precision; NaN for those that have an imaginary part."""
    if not tensor.is_complex():
        return tensor.detach().double().cpu().numpy()
    parts = torch.view_as_real(tensor.detach().resolve_conj()).double().cpu().numpy()
    return np.where(parts[..., 1] == 0, parts[..., 0], np.nan)


def rounded(constant: Constant, kind: torch.dtype) -> Constant:
    """The same numbers in another type, which may not hold each of them."""

    def compute(positions: Positions, held: Held) -> Values:
        values = constant.at(positions, held)
        rounded = real_numbers(torch.from_numpy(np.nan_to_num(values)).to(kind))
        return np.where(np.isnan(values), np.nan, rounded)

    return Constant(compute)


@dataclass(frozen=True, slots=True)
class Plane:
    """One axis of a tensor along which its positions belong to units.

    labels: [size of the axis]. constant: what these positions send; unused for tensors made of weights
    alone, whose values can be read.
    """

    labels: Labels
    constant: Constant = VARYING


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of one tensor.

    planes: axis -> plane. signal: whether the tensor depends on the network's input. source: path of the
    parameter that a tensor made of weights stands for (itself, transposed or scaled). scaled_by: paths of
    the parameters that scale it. read: number of the reading that has just made this signal, or None. maker:
    the layer that has just made it, or None.
    """

    planes: dict[int, Plane] = field(default_factory=dict)
    signal: bool = True
    source: str | None = None
    scaled_by: tuple[str, ...] = ()
    read: int | None = None
    maker: str | None = None


@dataclass(slots=True)
class Read:
    """A layer reading units: a matrix product or a convolution over an axis that belongs to units.

    weight: path of the parameter. in_axis, out_axis: its axes. in_positions: position on in_axis for every
    position of the signal. bias: path of the bias, or None. foldable: whether weight and bias may be read as
    they are (both scaled alike, or not at all). scaled: whether they are. padded: whether zeros are
    put around the signal. signal: the plane that is read. norm: path of the running mean that follows at
    once, or None. training: whether it was seen in training mode; each mode has its own readings.
    bare: whether there is no weight at all, and units are summed up as they are. why: what to say of units
    that it does not let go.
    """

    weight: str | None
    in_axis: int
    out_axis: int
    in_positions: Positions
    bias: str | None
    foldable: bool
    scaled: bool
    padded: bool
    signal: Plane
    norm: str | None = None
    training: bool = False
    bare: bool = False
    why: str = VARIES


@dataclass(slots=True)
class Pair:
    """Two planes whose entries are multiplied and summed over: a unit of it may go if either sends zero.

    training: whether it was seen in training mode.
    """

    left: Plane
    right: Plane
    training: bool = False
    bare: bool = False
