"""Changes to a network that can be taken back until they are committed."""

from collections.abc import Callable, Sequence
from functools import partial
from operator import setitem
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.optim import Optimizer

from harness.surgery.changes.belongings import (
    check_kind,
    check_node,
    hand_on,
    in_format_of,
    point_at,
    reshaped_gradient,
)
from harness.surgery.changes.optimizer_state import Reshaping
from harness.surgery.changes.optimizers import Optimizers
from harness.surgery.changes.seen import Moving, Seen
from harness.surgery.errors import SurgeryError
from harness.surgery.masking import masked_names, set_mask, unset_mask
from harness.surgery.sharing import sharing
from harness.surgery.tracing.computed import computed
from harness.surgery.tracing.paths import module_at


class Draft:
    """Exchanges tensors and modules of a network, and of its averaged copies, at once.

    Optimizers are touched only by `commit`, which cannot fail: whatever it could object to has been
    checked when the change was made. Parameters are exchanged for new objects rather than resized in
    place, because an autograd graph that still hangs on an old loss would keep the old shape alive.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizers: Optimizer | Sequence[Optimizer] | None,
        copies: Sequence[nn.Module] = (),
    ) -> None:
        self.network = network
        self._optimizers = Optimizers(optimizers)
        self._targets = (network, *copies)
        self._places = [_places(target) for target in self._targets]
        #: Parameters made here: optimizers get to know them when the draft is committed.
        self._made: dict[int, Tensor] = {}
        #: id of a tensor -> that tensor, kept alive, and the one that took its place.
        self._successors: dict[int, tuple[Tensor, Tensor]] = {}
        self._undo: list[Callable[[], Any]] = []
        self._on_commit: list[Callable[[], None]] = []
        self._shared: dict[str, str] | None = None
        self.seen = Seen(network)
        #: Counts what was done: to tensors at all, and to which there are and of what shapes.
        self.changes = self.reshapes = 0

    def tensor(self, path: str) -> Tensor:
        """A parameter or buffer of the network as it is now."""
        return _tensor(self.network, path)

    def change(self, path: str, reshaping: Reshaping, memory: Reshaping | None = None) -> None:
        """Exchange a parameter or buffer for what `reshaping` makes of it.

        Args:
            path: of the tensor.
            reshaping: new values from old ones; for copies of the network from theirs.
            memory: the same for optimizers' memory of the parameter; `reshaping` if None.
        """
        self.changes += 1
        if isinstance(reshaping, Moving):
            self.reshapes += 1
            self.seen.move(path, reshaping)
        for target, places in zip(self._targets, self._places, strict=True):
            old = _tensor(target, path)
            if target is self.network and isinstance(old, nn.Parameter) and id(old) not in self._made:
                self._optimizers.check(path, old)
            check_kind(path, old)
            if id(old) not in self._made:
                check_node(path, old)
            self._check_memory(path)
            with torch.no_grad():
                new = in_format_of(old, reshaping(old.detach()))
            if isinstance(old, nn.Parameter):
                new = nn.Parameter(new, requires_grad=old.requires_grad)
                if old.grad is not None:
                    with torch.no_grad():
                        new.grad = reshaped_gradient(old.grad, memory or reshaping)
            self._successors[id(old)] = (old, new)
            hand_on(old, new, (memory or reshaping) if isinstance(reshaping, Moving) else _unchanged)
            self._swap(places, old, new)
            self._made[id(new)] = new
            if target is self.network and isinstance(old, nn.Parameter) and isinstance(new, nn.Parameter):
                self._on_commit += self._optimizers.exchanged(old, new, memory or reshaping)

    def _check_memory(self, path: str) -> None:
        """Refuse to part a parameter from another one in whose memory it lies. Raises SurgeryError."""
        if self._shared is None:
            self._shared = sharing(self.network)
        if path in self._shared:
            raise SurgeryError(
                f"The parameter {path!r} lies in the memory of {self._shared[path]!r}, from which an edit "
                "would part it; have one parameter in both places instead."
            )

    def _swap(self, places: dict[int, list[tuple[nn.Module, str]]], old: Tensor, new: Tensor) -> None:
        places[id(new)] = places.pop(id(old))
        for module, name in places[id(new)]:
            registry: dict[str, Any] = (
                module._parameters if isinstance(old, nn.Parameter) else module._buffers
            )
            registry[name] = new
            self._undo.append(partial(setitem, registry, name, old))
            if isinstance(module, nn.RNNBase) and name in module._flat_weights_names:
                # It keeps a list of its parameters, too.
                place = module._flat_weights_names.index(name)
                module._flat_weights[place] = new
                self._undo.append(partial(setitem, module._flat_weights, place, old))

    def shift(self, path: str, added: Sequence[Tensor]) -> None:
        """Add values to a tensor, for the network and each of its copies; memory stays as it is."""
        by_target = iter(added)
        self.change(path, lambda old: (old.double() + next(by_target)).to(old.dtype), _unchanged)

    def add_parameter(self, path: str, values: Sequence[Tensor], beside: str) -> None:
        """Give a module a parameter that it declared as None, in the optimizer group of another.

        Args:
            path: of the new parameter.
            values: for the network and each of its copies.
            beside: path of a parameter of the network.
        """
        self.changes, self.reshapes = self.changes + 1, self.reshapes + 1
        layer, _, name = path.rpartition(".")
        for target, places, value in zip(self._targets, self._places, values, strict=True):
            module = target.get_submodule(layer)
            neighbour = _tensor(target, beside)
            new = nn.Parameter(value.clone(), requires_grad=neighbour.requires_grad)
            module._parameters[name] = new
            places[id(new)] = [(module, name)]
            self._made[id(new)] = new
            self._undo.append(partial(setitem, module._parameters, name, None))
            if target is self.network and isinstance(neighbour, nn.Parameter):
                self._on_commit += self._optimizers.enrolled(new, path, neighbour)

    def add_mask(self, path: str, value: Tensor) -> None:
        """Hold entries of a parameter at zero by a buffer beside it that its module did not have."""
        self.changes, self.reshapes = self.changes + 1, self.reshapes + 1
        layer, _, parameter = path.rpartition(".")
        for target, places in zip(self._targets, self._places, strict=True):
            module = target.get_submodule(layer)
            buffer = value.clone()
            before = masked_names(module)
            name = set_mask(module, parameter, buffer)
            places[id(buffer)] = [(module, name)]
            self._undo.append(partial(unset_mask, module, parameter, before))

    def set_attribute(self, layer: str, name: str, value: Any) -> None:
        """Set a plain attribute of a module, such as the number of its channels."""
        for target in self._targets:
            module = module_at(target, layer)
            before = getattr(module, name)
            if type(before) is type(value) and isinstance(value, int | tuple) and before == value:
                continue
            self._undo.append(partial(setattr, module, name, before))
            setattr(module, name, value)

    def compute_again(self, layer: str) -> None:
        """Have a module's attributes that were computed from its tensors say what these have become.

        `torch.nn.utils.weight_norm` and `spectral_norm` of old keep the weight of the last forward pass.
        """
        for target in self._targets:
            module = module_at(target, layer)
            for hook in module._forward_pre_hooks.values():
                if isinstance(hook, WeightNorm | SpectralNorm):
                    self._undo.append(partial(setattr, module, hook.name, getattr(module, hook.name)))
                    setattr(module, hook.name, computed(module, hook.name))

    def exchange_module(self, path: str, make: Callable[[nn.Module], nn.Module]) -> None:
        """Put another module in a module's place, wherever it is used.

        Parameters it drops are forgotten by optimizers, and those that it brings are enrolled.
        """
        self.changes, self.reshapes = self.changes + 1, self.reshapes + 1
        for index, target in enumerate(self._targets):
            old = target.get_submodule(path)
            new = make(old)
            before = dict(target.named_parameters())
            for name, module in list(target.named_modules(remove_duplicate=False)):
                if module is old:
                    parent, _, child = name.rpartition(".")
                    holder = target.get_submodule(parent)
                    holder._modules[child] = new
                    self._undo.append(partial(setitem, holder._modules, child, old))
            kept = {id(parameter) for parameter in target.parameters()}
            dropped = [parameter for parameter in before.values() if id(parameter) not in kept]
            self._places[index] = _places(target)
            if target is self.network:
                for own in dropped:
                    self._on_commit += self._optimizers.exchanged(own, None, _unchanged)
                self._enrol_new(before)

    def put_behind(self, path: str, name: str, make: Callable[[], nn.Module]) -> None:
        """Put a new module behind another one of an `nn.Sequential`; the others keep their names."""
        self.changes, self.reshapes = self.changes + 1, self.reshapes + 1
        parent, _, child = path.rpartition(".")
        for index, target in enumerate(self._targets):
            before = dict(target.named_parameters())
            held = target.get_submodule(parent)._modules
            old = dict(held)
            self._undo.append(partial(_refill, held, old))
            new = make()
            _refill(held, {})
            for own, module in old.items():
                held[own] = module
                if own == child:
                    held[name] = new
            self._places[index] = _places(target)
            if target is self.network:
                self._enrol_new(before)

    def _enrol_new(self, before: dict[str, nn.Parameter]) -> None:
        """Have an optimizer own the network's parameters that were not in it before."""
        known = {id(parameter) for parameter in before.values()}
        for path, new in self.network.named_parameters():
            if id(new) not in known and id(new) not in self._made:
                self._made[id(new)] = new
                gates, like = _alike(self.network, path, known)
                self._on_commit += self._optimizers.admitted(new, path, like, is_gate=gates)

    def rollback(self) -> None:
        """Take every change back."""
        while self._undo:
            self._undo.pop()()
        self._on_commit.clear()
        self._successors.clear()
        self._places = [_places(target) for target in self._targets]

    def commit(self) -> None:
        """Make the changes final and bring the optimizers up to date."""
        for step in self._on_commit:
            step()
        for target in self._targets:
            point_at(self._successors, target)
        self._undo.clear()
        self._on_commit.clear()

    @property
    def targets(self) -> tuple[nn.Module, ...]:
        """The network and its copies."""
        return self._targets


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _refill(held: dict[str, Any], modules: dict[str, Any]) -> None:
    held.clear()
    held.update(modules)


def _alike(network: nn.Module, path: str, known: set[int]) -> tuple[bool, list[nn.Parameter]]:
    """Whether a new parameter is a gate, and those of the network that it is to be trained like.

    Best first: of the same name in modules of the same class, of the same name, with as many axes, any. No
    gate is like what is none.
    """
    layer, _, name = path.rpartition(".")
    module, new = network.get_submodule(layer), network.get_parameter(path)
    is_gate = name in getattr(module, "undecayed", ())
    ranked: list[tuple[bool, bool, bool, int, nn.Parameter]] = []
    for holder in network.modules():
        for each, parameter in holder._parameters.items():
            gate = each in getattr(holder, "undecayed", ())
            if parameter is not None and id(parameter) in known and gate == is_gate:
                same = each == name
                rank = (
                    not (same and type(holder) is type(module)),
                    not same,
                    parameter.dim() != new.dim(),
                    len(ranked),
                )
                ranked.append((*rank, parameter))
    return is_gate, [entry[-1] for entry in sorted(ranked, key=lambda entry: entry[:-1])]


def _tensor(network: nn.Module, path: str) -> Tensor:
    layer, _, name = path.rpartition(".")
    module = module_at(network, layer)
    tensor: Tensor | None = module._parameters.get(name)
    if tensor is None:
        tensor = module._buffers.get(name)
    if tensor is None:
        raise SurgeryError(f"The network has no parameter or buffer {path!r}.")
    return tensor


def _places(network: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Where every tensor lives: a tied one in several modules."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in network.modules():
        for registry in (module._parameters, module._buffers):
            for name, tensor in registry.items():
                if tensor is not None:
                    places.setdefault(id(tensor), []).append((module, name))
    return places
