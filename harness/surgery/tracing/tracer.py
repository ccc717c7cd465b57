"""Following the units of a network through one forward pass."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.aliases import Aliases, seen_through
from harness.surgery.tracing.bounds import Bound
from harness.surgery.tracing.choices import Choice
from harness.surgery.tracing.example import Example, tensors
from harness.surgery.tracing.fits import Fit
from harness.surgery.tracing.labels import Coupling, Labels
from harness.surgery.tracing.marks import Mark, Pair, Plane, Read, always, real_numbers
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.stand_ins import Replaced

if TYPE_CHECKING:
    from harness.surgery.tracing.computed import Normed

#: Operations whose result Python reads as a number or whose shape depends on the data.
_DATA_DEPENDENT = frozenset(
    {
        "_local_scalar_dense",
        "item",
        "is_nonzero",
        "nonzero",
        "masked_select",
        "unique_consecutive",
        "_unique2",
    }
)
#: Operations that make a tensor full of one number: NaN for any, None for their second argument.
_FILLED = {"zeros": 0.0, "ones": 1.0, "full": None, "empty": np.nan, "empty_strided": np.nan}


@dataclass(frozen=True, slots=True)
class Call:
    """One operation as it ran: its name without overload, what it was given and what it gave."""

    name: str
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument, wherever it was given."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)


Rule = Callable[["Tracer", Call], None]


class Tracer(TorchDispatchMode):
    """Watches the operations of a forward pass and keeps, for each tensor, which units its axes belong to.

    It works below autograd, on PyTorch's own small set of operations, so it does not matter whether a
    network was written with modules, functions or operators. An operation that no rule knows forbids the
    removal of the units it reads; nothing is guessed.

    Attributes:
        rules: what each operation does to units.
        coupling: classes of labels. Every position of every axis of every parameter and buffer has a label.
        starts: path of a parameter or buffer -> first label of each of its axes.
        tensors: path -> the tensor.
        modules: path -> the module.
        reads: the layers that read units, in order of execution.
        producers: layer -> (path of its parameter, axis along which its units lie).
        norms: layer -> the normalisation that directly follows it.
        choices: axes that were split or merged, of which one is to be chosen. avoided: those by number where
            it must not be the one that would be preferred.
        pairs: products of two signals that sum over units, in order of execution.
        fits: numbers that modules hold and that must follow the size of an axis.
        bounds: numbers that modules hold and that are the length of a stretch of an axis.
        stretches: labels of parts of an axis that code took at unequal bounds, of which each is to be tried.
        rigid: labels whose axis was reshaped or split, perhaps by code written for fixed sizes.
        normed: weights under weight norm and spectral norm, by the parameter that gives their direction.
        astray: a sentence on a parameter that was read, but not from where it is registered; or None.
        aliases: which tensors share memory, and what was written there.
        squeezed: labels of axes that would be squeezed away if a single position of them were left.
    """

    def __init__(
        self,
        network: nn.Module,
        rules: Mapping[str, Rule],
        pointwise: Rule,
        replaced: Replaced | None = None,
    ) -> None:
        """Know a network's parameters and buffers.

        Args:
            replaced: tensors in whose place others stand while the network is followed.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.rules = rules
        self._pointwise = pointwise
        self._marks: dict[int, tuple[Tensor, Mark]] = {}
        self._uses: dict[int, int] = {}
        self._uses_in_place: dict[int, int] = {}
        self._owed: dict[int, list[tuple[Labels, str]]] = {}
        self.coupling = Coupling()
        self.starts: dict[str, tuple[int, ...]] = {}
        self.tensors: dict[str, Tensor] = {}
        self.modules = dict(network.named_modules(remove_duplicate=False))
        self.reads: list[Read] = []
        self.producers: dict[str, tuple[str, int]] = {}
        self.norms: dict[str, str] = {}
        self.rigid: list[Labels] = []
        self.normed: Mapping[str, Normed] = {}
        self._looks_away = False
        self.astray: str | None = None
        self._replaced = replaced or Replaced()
        #: Tensors that the network makes of nothing while it runs (kept alive, so that ids stay their own).
        self._made: dict[int, Tensor] = {}
        self.squeezed: list[Labels] = []
        self.aliases = Aliases()
        self.choices: list[Choice] = []
        self.avoided: tuple[int, ...] = ()
        self.pairs: list[Pair] = []
        self.fits: list[Fit] = []
        self.bounds: list[Bound] = []
        self.stretches: list[Labels] = []
        self._owners: list[tuple[int, str, int]] = []
        for path, tensor in [*network.named_parameters(), *network.named_buffers()]:
            self._own(path, tensor)

    def _own(self, path: str, tensor: Tensor) -> None:
        first = len(self.coupling)
        labels = self.coupling.fresh(sum(tensor.shape))
        starts, planes, offset = [], {}, 0
        for axis, size in enumerate(tensor.shape):
            starts.append(first + offset)
            self._owners.append((first + offset, path, axis))
            planes[axis] = Plane(labels[offset : offset + size])
            offset += size
        self.tensors[path] = tensor
        self.starts[path] = tuple(starts)
        self.aliases.own(path, tensor)
        self.tag(tensor, Mark(planes, signal=False, source=path))

    def labels(self, path: str, axis: int) -> Labels:
        """Labels of the positions on one axis of a parameter or buffer."""
        start = self.starts[path][axis]
        return np.arange(start, start + self.tensors[path].shape[axis], dtype=np.int64)

    def owner(self, label: int) -> tuple[str, int]:
        """The parameter or buffer, and its axis, that a label was made for."""
        index = bisect_right(self._owners, label, key=lambda owner: owner[0]) - 1
        return self._owners[index][1:]

    def fresh(self, count: int, like: Labels) -> Labels:
        """New labels for an axis that was made of another one; they count as made for what those were."""
        first = len(self.coupling)
        if len(like):
            self._owners.append((first, *self.owner(int(like[0]))))
        return self.coupling.fresh(count)

    def mark(self, tensor: Tensor) -> Mark:
        """What is known of a tensor; one never seen before was made from nothing, and is no signal."""
        for labels, reason in self._owed.pop(id(tensor), ()):
            self.coupling.freeze(labels, reason)
        known = self._marks.get(id(tensor))
        if known is None:
            return self._arrived(tensor) if self.aliases.lodges(tensor) else Mark(signal=False)
        missed = self.aliases.missed(tensor)
        if not missed:
            return known[1]
        mark = known[1]
        for write in missed:
            blank = self.aliases.blank(tensor, write.time)
            mark = seen_through(self, tensor, mark, write.writer, write.mark, blank)
        self.tag(tensor, mark)
        return mark

    def _arrived(self, tensor: Tensor) -> Mark:
        """The mark of a tensor that was made out of sight, in memory that is followed."""
        mark = Mark(signal=False)
        for other in self.aliases.residents(tensor):
            seen = seen_through(self, tensor, mark, other, self.mark(other))
            mark = Mark(seen.planes, seen.signal or mark.signal)
        self.tag(tensor, mark)
        return mark

    def freeze_if_read(self, tensor: Tensor, labels: Labels, reason: str) -> None:
        """Forbid the removal of units only if anything ever asks for a (tagged) tensor."""
        self._owed.setdefault(id(tensor), []).append((labels, reason))

    def tag(self, tensor: Tensor, mark: Mark) -> None:
        """Note what is known of a tensor (kept alive, so that its id stays its own)."""
        self._marks[id(tensor)] = (tensor, mark)
        self.aliases.note(tensor)

    def follows(self, tensor: Tensor) -> bool:
        """Whether anything is known of a tensor, or of its memory."""
        return id(tensor) in self._marks or self.aliases.lodges(tensor)

    def receive(self, example: Example) -> None:
        """Note that tensors are the network's input: signals whose positions belong to no unit."""
        for tensor in tensors(example):
            self.tag(tensor, Mark())

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Follow no operation, for the length of the context: of modules that are followed as a whole."""
        before, self._looks_away = self._looks_away, True
        try:
            yield
        finally:
            self._looks_away = before

    def uses(self, tensor: Tensor) -> int:
        """How many operations have read a tensor so far."""
        return self._uses.get(id(tensor), 0)

    def freeze(self, mark: Mark, reason: str, *, axes: tuple[int, ...] | None = None) -> None:
        """Forbid the removal of a tensor's units, on all its axes or on some."""
        for axis, plane in mark.planes.items():
            if axes is None or axis in axes:
                self.coupling.freeze(plane.labels, reason)

    def produce(self, labels: Labels) -> str:
        """Note that the axis of a parameter that these labels were made for makes units; the layer's name."""
        path, axis = self.owner(int(labels[0]))
        layer = layer_of(path)
        first = self.producers.setdefault(layer, (path, axis))
        if first == (path, axis) or self._are_among(self.labels(path, axis), self.labels(*first)):
            return layer
        # A module that makes several kinds of units names each by its parameter.
        self.producers.setdefault(path, (path, axis))
        return path

    def _are_among(self, labels: Labels, others: Labels) -> bool:
        """Whether labels belong to classes of others, as what one head has of several weights does."""
        return bool(np.isin(self.coupling.roots(labels), self.coupling.roots(others)).all())

    def normalise(self, signal: Tensor, weight: str | None, mean: str | None) -> None:
        """Note a normalisation that directly follows a layer, by the paths of its factor and running mean."""
        mark = self.mark(signal)
        norm = weight or mean
        if norm is None or self.uses(signal) > 1:
            return
        # A layer may normalise what it makes itself: then there is no other to name.
        if mark.maker not in (None, norm.rpartition(".")[0]):
            self.norms.setdefault(mark.maker, norm.rpartition(".")[0])
        if mark.read is not None and not self.reads[mark.read].scaled:
            # A scaled weight adds its constant scaled; a bias of the layer is scaled alike, a mean is not.
            self.reads[mark.read].norm = mean

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._looks_away:
            return func(*args, **kwargs)
        before = args
        if self.aliases.reshapes(func) and self.follows(args[0]):
            # The tensor itself gets another shape: what it was is kept in a view of it.
            before = (torch.ops.aten.alias(args[0]), *args[1:])
            self.tag(before[0], self.mark(args[0]))
        out = func(*args, **kwargs)
        given = leaves((before, kwargs))
        inputs = [leaf for leaf in given if self.follows(leaf)]
        if len(inputs) < len(given) and self.astray is None:
            self._look_astray(given)
        if inputs:
            written = list(self.aliases.written(func, args, kwargs))
            if len(given) > 1:
                self._stretch(given, written)
            self._follow(Call(func.overloadpacket.__name__, func, before, kwargs, out), inputs)
            for tensor in leaves(written):
                self._written(tensor)
            return out
        self._made.update((id(leaf), leaf) for leaf in leaves(out))
        if func.overloadpacket.__name__ in _FILLED:
            value = _FILLED[func.overloadpacket.__name__]
            self.fill(out, args[1] if value is None else value)
        return out

    def _stretch(self, given: list[Tensor], written: list[Any]) -> None:
        """Let a tensor that is made of nothing, and full of one number, have units where it meets some.

        A recurrence starts from zeros, say. Whether code makes it as long as the units are then is for trials
        to find out.
        """
        if not any(id(leaf) in self._marks and self._marks[id(leaf)][1].planes for leaf in given):
            return
        for leaf in given:
            counts = leaf.is_floating_point() or leaf.is_complex()
            if not counts or leaf.numel() < 2 or any(leaf is own for own in written):
                continue
            value = self._full_of(leaf)
            if value is not None:
                sizes = enumerate(leaf.shape)
                planes = {k: Plane(self.coupling.fresh(n), always(value)) for k, n in sizes if n > 1}
                self.tag(leaf, Mark(planes))

    def _full_of(self, tensor: Tensor) -> float | None:
        """The number that a tensor which was made of nothing is full of, None if there is none."""
        if id(tensor) in self._marks:
            mark = self.mark(tensor)
            known = self.aliases.blank(tensor) if not (mark.signal or mark.planes) else None
            return None if known is None or np.isnan(known) else known
        if id(tensor) not in self._made or tensor.device.type == "meta":
            return None
        first = tensor.detach().flatten()[0]
        value = float(real_numbers(first))
        return None if bool((tensor != first).any()) or np.isnan(value) else value

    def fill(self, tensor: Tensor, value: float) -> None:
        """Note that a tensor was just made full of one number (NaN: of any)."""
        self.tag(tensor, Mark(signal=False))
        self.aliases.fill(tensor, float(value))

    def _look_astray(self, given: list[Tensor]) -> None:
        """See whether an operation reads a parameter that is held where surgery cannot exchange it."""
        for leaf in given:
            if id(leaf) not in self._marks and id(leaf) not in self._made and not self.follows(leaf):
                self.astray = self.astray or self._replaced.astray(leaf)

    def _written(self, tensor: Tensor) -> None:
        """Something was written through a tensor: the others in its memory will have to know."""
        mark = self.mark(tensor)
        if not mark.signal and mark.planes:
            # What it held can be read from it, what it holds now cannot.
            for path in self.aliases.owners(tensor):
                if isinstance(self.tensors[path], nn.Parameter):
                    self.freeze(self._whole(path), "changed by the forward pass itself")
            if self.aliases.owners(tensor):
                mark = Mark({axis: Plane(plane.labels) for axis, plane in mark.planes.items()})
                self.tag(tensor, mark)
            elif self.uses(tensor) - self._uses_in_place.get(id(tensor), 0) > 1:
                self.freeze(mark, "changed after it was read")
        self._uses_in_place[id(tensor)] = self._uses_in_place.get(id(tensor), 0) + 1
        self.aliases.wrote(tensor, mark)

    def _whole(self, path: str) -> Mark:
        axes = range(self.tensors[path].dim())
        return Mark({axis: Plane(self.labels(path, axis)) for axis in axes}, signal=False)

    def _follow(self, call: Call, inputs: list[Tensor]) -> None:
        for tensor in inputs:
            self._uses[id(tensor)] = self._uses.get(id(tensor), 0) + 1
        rule = self.rules.get(call.name) or self.rules.get(call.name.rstrip("_"))
        if rule is None and torch.Tag.pointwise in call.func.tags:  # type: ignore[attr-defined]
            rule = self._pointwise
        if rule is not None:
            rule(self, call)
            return
        signal = any(self.mark(tensor).signal for tensor in inputs)
        if signal and call.name in _DATA_DEPENDENT:
            raise SurgeryError(
                f"The network reads the values of its data in Python ({call.name}); only networks whose "
                "control flow does not depend on the data can be followed."
            )
        for tensor in inputs:
            self.freeze(self.mark(tensor), f"read by {call.name}, an operation that surgery does not know")
        written = list(self.aliases.written(call.func, call.args, call.kwargs))
        for tensor in leaves([call.out, written]):
            self.tag(tensor, Mark(signal=signal))


def leaves(tree: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and mappings (quicker than a pytree, which this needs to be)."""
    found: list[Tensor] = []
    _gather(tree, found)
    return found


def _gather(tree: Any, found: list[Tensor]) -> None:
    if isinstance(tree, Tensor):
        found.append(tree)
    elif isinstance(tree, list | tuple):
        for branch in tree:
            _gather(branch, found)
    elif isinstance(tree, dict):
        for branch in tree.values():
            _gather(branch, found)
