"""Sums, means, extremes and norms over some axes, sorting along one, and softmax."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from harness.surgery.tracing.marks import VARYING, Constant, Mark, Plane, Read
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.rules.meeting import only_silence
from harness.surgery.tracing.tracer import Call, Rule, Tracer, leaves

Kept = Callable[[Constant], Constant]


def _itself(constant: Constant) -> Constant:
    return constant


def _lost(constant: Constant) -> Constant:
    return VARYING


@dataclass(frozen=True, slots=True)
class Reduction:
    """An operation over some axes.

    place: of the argument that names them. sent: what becomes of a constant on the other axes. default: the
    axis that is meant where none is named, None for all of them. beside: as `sent`, of a second result.
    """

    place: int
    sent: Kept
    default: int | None = None
    beside: Kept = _lost

    def __call__(self, tracer: Tracer, call: Call) -> None:
        """Follow it: units that it goes over must stay, but for sums, to which silence is nothing."""
        signal: Tensor = call.args[0]
        given = call.argument(self.place, "dim")
        axes = _axes(signal, self.default if given is None else given)
        mark = tracer.mark(signal)
        kept = [axis for axis in range(signal.dim()) if axis not in axes]
        for number, out in enumerate(leaves(call.out)):
            same = out.dim() == signal.dim()
            sent = self.sent if number == 0 else self.beside
            planes = {
                axis if same else position: Plane(plane.labels, sent(plane.constant))
                for position, axis in enumerate(kept)
                if (plane := mark.planes.get(axis)) is not None
            }
            tracer.tag(out, Mark(planes, mark.signal))
        for axis in mark.planes.keys() & axes:
            _gone_over(tracer, call, mark, axis)


def _gone_over(tracer: Tracer, call: Call, mark: Mark, axis: int) -> None:
    plane = mark.planes[axis]
    if not mark.signal or not _nothing_adds_nothing(call):
        reason = f"summed over by {call.name}"
        if not mark.signal and len(plane.labels):
            layer = layer_of(tracer.owner(int(plane.labels[0]))[0])
            reason = f"read by {layer!r}, whose weight goes by the {call.name} of its entries"
        # Attention gives the mean of its weights to whoever called it, and few want it.
        for made in leaves(call.out):
            tracer.freeze_if_read(made, plane.labels, reason)
        return
    # A reader with no weights: what is silent there is not missed.
    nowhere = np.arange(0)
    tracer.reads.append(Read(None, 0, 0, nowhere, None, False, False, False, signal=plane, bare=True))


def _nothing_adds_nothing(call: Call) -> bool:
    """Whether zeros make no difference to what an operation gives for all entries together."""
    if call.name in ("linalg_vector_norm", "norm"):
        order = call.argument(1, "ord", 2)
        return isinstance(order, int | float) and order > 0
    return call.name in ("sum", "nansum")


def _axes(signal: Tensor, given: list[int] | int | None) -> tuple[int, ...]:
    if given is None or given == []:
        return tuple(range(signal.dim()))
    return tuple(axis % signal.dim() for axis in ([given] if isinstance(given, int) else given))


def norm(tracer: Tracer, call: Call) -> None:
    """Norms: of silence silence is left."""
    order = call.argument(1, "ord", 2)
    positive = isinstance(order, int | float) and order > 0
    Reduction(2, only_silence if positive else _lost)(tracer, call)


@dataclass(frozen=True, slots=True)
class Along:
    """An operation that mixes the entries along one axis.

    place: of the argument that names it. sent: what becomes of a constant on the other axes. default: the
    axis where none is named.
    """

    place: int
    sent: Kept
    default: int = -1

    def __call__(self, tracer: Tracer, call: Call) -> None:
        """Follow it: units along that axis must stay."""
        signal: Tensor = call.args[0]
        axis = call.argument(self.place, "dim", self.default) % max(signal.dim(), 1)
        mark = tracer.mark(signal)
        tracer.freeze(mark, f"mixed along its axis by {call.name}", axes=(axis,))
        for number, out in enumerate(leaves(call.out)):
            sent = self.sent if number == 0 else _lost
            planes = {a: Plane(p.labels, sent(p.constant)) for a, p in mark.planes.items() if a != axis}
            tracer.tag(out, Mark(planes, mark.signal))


def sort(tracer: Tracer, call: Call) -> None:
    """Sorted along an axis; the stable kind has one argument more in front."""
    stable = call.func.name().endswith(".stable")  # type: ignore[attr-defined]
    Along(2 if stable else 1, _lost if call.name == "argsort" else _itself)(tracer, call)


def triangle(tracer: Tracer, call: Call) -> None:
    """Zeros put on one side of the diagonal of the last two axes."""
    signal: Tensor = call.args[0]
    mark = tracer.mark(signal)
    last = signal.dim() - 2, signal.dim() - 1
    tracer.freeze(mark, f"cut by {call.name}", axes=last)
    planes = {a: Plane(p.labels, only_silence(p.constant)) for a, p in mark.planes.items() if a not in last}
    tracer.tag(call.out, Mark(planes, mark.signal))


def softmax(tracer: Tracer, call: Call) -> None:
    """Entries along the normalised axis depend on each other."""
    signal: Tensor = call.args[0]
    mark = tracer.mark(signal)
    tracer.freeze(mark, "normalised by softmax", axes=(call.args[1] % signal.dim(),))
    tracer.tag(
        call.out, Mark({axis: Plane(plane.labels) for axis, plane in mark.planes.items()}, mark.signal)
    )


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("mean", "nanmean", "amax", "amin", "max", "min", "median", "nanmedian"), Reduction(1, _itself)
    ),
    **dict.fromkeys(("sum", "nansum"), Reduction(1, only_silence)),
    **dict.fromkeys(("prod", "any", "all", "count_nonzero"), Reduction(1, only_silence)),
    **dict.fromkeys(("logsumexp", "argmax", "argmin"), Reduction(1, _lost)),
    **dict.fromkeys(("var", "std"), Reduction(1, only_silence)),
    **dict.fromkeys(("var_mean", "std_mean"), Reduction(1, only_silence, beside=_itself)),
    "aminmax": Reduction(1, _itself, beside=_itself),
    "mode": Reduction(1, _itself, -1),
    "kthvalue": Reduction(2, _itself, -1),
    "linalg_vector_norm": norm,
    "norm": norm,
    "sort": sort,
    "argsort": sort,
    "topk": Along(2, _itself),
    **dict.fromkeys(("cummax", "cummin"), Along(1, _itself)),
    **dict.fromkeys(("cumsum", "cumprod"), Along(1, only_silence)),
    "logcumsumexp": Along(1, _lost),
    "tril": triangle,
    "triu": triangle,
    "_softmax": softmax,
    "_log_softmax": softmax,
}
