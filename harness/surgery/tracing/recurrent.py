"""Recurrent layers of PyTorch's and their cells: what belongs to a hidden unit, what they read and send.

They are followed as a whole: what they run inside differs by device and mode, and says little of how gates
and steps hang together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import VARYING, Constant, Held, Mark, Plane, Positions, Read, Values
from harness.surgery.tracing.tracer import Tracer

_LAYERS = (nn.LSTM, nn.GRU, nn.RNN)
_CELLS = (nn.LSTMCell, nn.GRUCell, nn.RNNCell)
#: The gate that writes what a unit remembers: one whose rows there are zero stays what it starts as, or less.
WRITING: dict[type[nn.Module], int] = {
    nn.LSTM: 2,
    nn.LSTMCell: 2,
    nn.GRU: 2,
    nn.GRUCell: 2,
    nn.RNN: 0,
    nn.RNNCell: 0,
}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """One layer and direction of a recurrent module, by the paths of its parameters.

    project: of the weight that makes fewer outputs of the hidden units, None if they are the outputs.
    """

    into: str
    back: str
    biases: tuple[str, str] | None
    project: str | None


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A recurrent module. layers: [layers][directions]."""

    path: str
    kind: type[nn.Module]
    layers: tuple[tuple[Recurrence, ...], ...]

    @property
    def every(self) -> Iterator[Recurrence]:
        """All layers and directions."""
        return (own for layer in self.layers for own in layer)

    @property
    def sent(self) -> tuple[str, int]:
        """The parameter, and its axis, that has one position for each unit that is sent on."""
        return self.layers[0][0].back, 1

    @property
    def hidden(self) -> tuple[str, int]:
        """The same for the hidden units, which are others where they are projected."""
        first = self.layers[0][0]
        return (first.back, 1) if first.project is None else (first.project, 1)


def recurrent(path: str, module: nn.Module) -> Recurrent | None:
    """What a module is made of, if it is recurrent and runs PyTorch's own forward on plain parameters."""
    kind = next((own for own in (*_LAYERS, *_CELLS) if isinstance(module, own)), None)
    if kind is None or type(module).forward is not kind.forward or "forward" in module.__dict__:
        return None
    prefix = f"{path}." if path else ""
    layers: tuple[tuple[Recurrence, ...], ...]
    if isinstance(module, _CELLS):
        layers = ((_recurrence(prefix, "", module.bias, False),),)
    else:
        assert isinstance(module, nn.RNNBase)
        ends = ("", "_reverse") if module.bidirectional else ("",)
        layers = tuple(
            tuple(_recurrence(prefix, f"_l{layer}{end}", module.bias, bool(module.proj_size)) for end in ends)
            for layer in range(module.num_layers)
        )
    found = Recurrent(path, kind, layers)
    names = [name for own in found.every for name in (own.into, own.back, own.project, *(own.biases or ()))]
    plain = all(name is None or name.removeprefix(prefix) in module._parameters for name in names)
    return found if plain else None


def _recurrence(prefix: str, end: str, bias: bool, projects: bool) -> Recurrence:
    biases = (f"{prefix}bias_ih{end}", f"{prefix}bias_hh{end}") if bias else None
    project = f"{prefix}weight_hr{end}" if projects else None
    return Recurrence(f"{prefix}weight_ih{end}", f"{prefix}weight_hh{end}", biases, project)


def declare(tracer: Tracer, network: nn.Module) -> None:
    """Couple what belongs to a unit: its rows in all gates and what reads it, in all layers and directions,
    which have one width in common."""
    for path, module in network.named_modules():
        own = recurrent(path, module)
        if own is not None:
            _declare(tracer, own)


def _declare(tracer: Tracer, module: Recurrent) -> None:
    sent, hidden = tracer.labels(*module.sent), tracer.labels(*module.hidden)
    unite = tracer.coupling.unite
    for number, directions in enumerate(module.layers):
        for own in directions:
            for path in (own.into, own.back, *(own.biases or ())):
                unite(tracer.labels(path, 0).reshape(-1, len(hidden)), hidden)
            unite(tracer.labels(own.back, 1), sent)
            if own.project is not None:
                unite(tracer.labels(own.project, 0), sent)
                unite(tracer.labels(own.project, 1), hidden)
            if number:
                unite(tracer.labels(own.into, 1).reshape(-1, len(sent)), sent)


class Followed:
    """A recurrent module in a forward pass."""

    def __init__(self, tracer: Tracer, module: Recurrent, forward: Callable[..., Any]) -> None:
        self._tracer, self._module, self._forward = tracer, module, forward
        self._labels = tracer.labels(*module.sent)
        self._hidden = tracer.labels(*module.hidden)
        #: What a cell sends by what it starts from (kept alive, so that ids stay their own).
        self._known: dict[tuple[int, int], tuple[Plane, Plane, object]] = {}

    def __call__(self, input: Tensor | PackedSequence, hx: Any = None) -> Any:
        """Run it, and note what it reads and sends."""
        with self._tracer.looking_away():
            made = self._forward(input, hx)
        self._produce()
        if issubclass(self._module.kind, _CELLS):
            assert isinstance(input, Tensor)
            self._cell(input, hx, made)
        else:
            self._layer(input.data if isinstance(input, PackedSequence) else input, hx, made)
        return made

    def _produce(self) -> None:
        module = self._module
        self._tracer.producers.setdefault(module.path, module.sent)
        if module.hidden != module.sent:
            self._tracer.producers.setdefault(module.hidden[0], module.hidden)

    def _cell(self, signal: Tensor, hx: Any, made: Any) -> None:
        state = self._state(hx)
        [[own]] = self._module.layers
        self._read(own, self._arriving(own, signal))
        h, c = made if isinstance(made, tuple) else (made, None)
        key = (id(state[0]), id(state[1]))
        if key not in self._known:
            silent = _both(self._silent(own, state[1]), state[0])
            out, inside = Plane(self._labels, silent), Plane(self._hidden, silent)
            self._read_back(own, out)
            # What was sent, and comes back, makes the same again.
            self._known[key] = self._known[id(silent), id(silent)] = (out, inside, state)
        out, inside, _ = self._known[key]
        self._tag(h, out)
        if c is not None:
            self._tag(c, inside)

    def _layer(self, signal: Tensor, hx: Any, made: Any) -> None:
        state = self._state(hx)
        plane: Plane | None = None
        all_sent: list[Constant] = []
        all_inside: list[Constant] = []
        for number, directions in enumerate(self._module.layers):
            parts: list[Constant] = []
            for own in directions:
                self._read(own, plane if number else self._arriving(own, signal))
                inside = self._silent(own, state[1])
                out = _both(inside, state[0])
                if own.project is not None:
                    self._tracer.reads.append(self._reading(own.project, Plane(self._hidden, inside)))
                    out = _both(self._row(own.project), state[0])
                self._read_back(own, Plane(self._labels, out))
                parts.append(out)
                all_inside.append(inside)
            all_sent += parts
            plane = Plane(np.tile(self._labels, len(parts)), _joined(parts, len(self._labels)))
        output, rest = made
        assert plane is not None
        self._tag(output.data if isinstance(output, PackedSequence) else output, plane, maker=True)
        h, c = rest if isinstance(rest, tuple) else (rest, None)
        self._tag(h, Plane(self._labels, _agreed(all_sent)))
        if c is not None:
            self._tag(c, Plane(self._hidden, _agreed(all_inside)))

    def _tag(self, tensor: Tensor, plane: Plane, *, maker: bool = False) -> None:
        mark = Mark({tensor.dim() - 1: plane}, maker=self._module.path if maker else None)
        self._tracer.tag(tensor, mark)

    def _arriving(self, own: Recurrence, signal: Tensor) -> Plane | None:
        """What a first layer reads; its columns belong to these units."""
        mark, last = self._tracer.mark(signal), signal.dim() - 1
        others = tuple(axis for axis in mark.planes if axis != last)
        self._tracer.freeze(mark, "lies on an axis that a recurrent layer runs along", axes=others)
        columns, plane = self._tracer.labels(own.into, 1), mark.planes.get(last)
        if plane is None:
            self._tracer.coupling.freeze(columns, "reads a signal of fixed size")
        else:
            self._tracer.coupling.unite(columns, plane.labels)
        return plane

    def _read(self, own: Recurrence, plane: Plane | None) -> None:
        if plane is None:
            plane = Plane(np.empty(0, dtype=np.int64))
        read = self._reading(own.into, plane, own.biases[0] if own.biases else None)
        # A cell reads one signal step by step: that is one reading.
        if not any(known.weight == own.into and known.signal is plane for known in self._tracer.reads):
            self._tracer.reads.append(read)

    def _read_back(self, own: Recurrence, plane: Plane) -> None:
        self._tracer.reads.append(self._reading(own.back, plane))

    def _reading(self, weight: str, plane: Plane, bias: str | None = None) -> Read:
        positions = np.arange(len(plane.labels))
        return Read(weight, 1, 0, positions, bias, bias is not None, False, False, plane)

    def _state(self, hx: Any) -> tuple[Constant, Constant]:
        """What a recurrence starts from at each unit: what it has sent last, and what it remembers."""
        given = list(hx) if isinstance(hx, tuple | list) else [] if hx is None else [hx]
        h = self._start(given[0], self._labels) if given else ZERO
        return h, self._start(given[1], self._hidden) if len(given) > 1 else h if given else ZERO

    def _start(self, tensor: Tensor, labels: Labels) -> Constant:
        mark = self._tracer.mark(tensor)
        others = tuple(axis for axis in mark.planes if axis != tensor.dim() - 1)
        self._tracer.freeze(mark, "lies on an axis that a recurrent layer runs along", axes=others)
        plane = mark.planes.get(tensor.dim() - 1)
        if plane is not None:
            self._tracer.coupling.unite(labels, plane.labels)
            return plane.constant if mark.signal else _values(tensor, plane.labels)
        is_known = tensor.device.type != "meta"
        if mark.signal or (is_known and bool((tensor != 0).any())):
            self._tracer.coupling.freeze(labels, "starts from a state of fixed size")
            return VARYING
        # Zeros of whatever size the code gives them: whether it asks the layer for it is tried out.
        self._tracer.rigid.append(labels)
        return ZERO

    def _weight(self, path: str) -> Tensor:
        """A parameter as the module computes with it: it may have gates on it."""
        multiplied = getattr(self._tracer.modules[self._module.path], "multiplied", None)
        own = self._tracer.tensors[path]
        if multiplied is None:
            return own
        with self._tracer.looking_away():
            made: Tensor = multiplied(path.rpartition(".")[2], own)
        return made

    def _silent(self, own: Recurrence, start: Constant) -> Constant:
        """Zero, for units that write nothing and start from nothing."""
        gate = WRITING[self._module.kind]
        count, labels = len(self._hidden), self._hidden
        weights = [self._weight(path) for path in (own.into, own.back)]
        biases = [self._weight(path) for path in own.biases or ()]
        # An update gate scales one of the biases of a GRU's candidate: they do not cancel.
        apart = issubclass(self._module.kind, nn.GRU | nn.GRUCell)

        def compute(positions: Positions, held: Held) -> Values:
            rows = torch.from_numpy(positions + gate * count)
            live = np.zeros(len(positions), dtype=np.bool_)
            for weight in weights:
                live |= weight.detach()[rows.to(weight.device)].any(1).cpu().numpy()
            shifts = [bias.detach()[rows.to(bias.device)].double().cpu().numpy() for bias in biases]
            for shift in shifts if apart else [sum(shifts)] if shifts else []:
                live |= shift != 0
            return _zero_unless(live | (start.at(positions, held)[0] != 0), labels[positions], held)

        return Constant(compute)

    def _row(self, path: str) -> Constant:
        """Zero, for outputs of a projection whose weights are zero."""
        weight, labels = self._weight(path), self._labels

        def compute(positions: Positions, held: Held) -> Values:
            rows = torch.from_numpy(positions).to(weight.device)
            return _zero_unless(weight.detach()[rows].any(1).cpu().numpy(), labels[positions], held)

        return Constant(compute)


def _zero_unless(live: np.typing.NDArray[np.bool_], labels: Labels, held: Held) -> Values:
    value = np.where(live, np.nan, 0.0)
    if held is not None:
        value = np.where(held[labels], 0.0, value)
    return np.stack([value, value])


def _zeros(positions: Positions, held: Held) -> Values:
    return np.zeros((2, len(positions)))


ZERO = Constant(_zeros)


def _values(tensor: Tensor, labels: Labels) -> Constant:
    """What units start from whose first state is a parameter or a buffer: zero, or something."""

    def compute(positions: Positions, held: Held) -> Values:
        chosen = tensor.detach()[..., torch.from_numpy(positions).to(tensor.device)]
        live = (chosen != 0).reshape(-1, len(positions)).any(0).cpu().numpy()
        return _zero_unless(live, labels[positions], held)

    return Constant(compute)


def _both(first: Constant, second: Constant) -> Constant:
    """Zero where both are."""
    if second is ZERO:
        return first
    return _agreed([first, second])


def _agreed(constants: list[Constant]) -> Constant:
    def compute(positions: Positions, held: Held) -> Values:
        silent = np.logical_and.reduce([constant.at(positions, held) == 0 for constant in constants])
        return np.where(silent, 0.0, np.nan)

    return Constant(compute)


def bordered(plane: Plane, value: float) -> Plane:
    """What is left of a constant where a value is put behind the ends of some sequences."""

    def compute(positions: Positions, held: Held) -> Values:
        values = plane.constant.at(positions, held)
        return np.where(values == value, values, np.nan)

    return Plane(plane.labels, Constant(compute))


def _joined(parts: list[Constant], size: int) -> Constant:
    def compute(positions: Positions, held: Held) -> Values:
        values = np.full((2, len(positions)), np.nan)
        for number, part in enumerate(parts):
            own = positions // size == number
            values[:, own] = part.at(positions[own] % size, held)
        return values

    return Constant(compute)
