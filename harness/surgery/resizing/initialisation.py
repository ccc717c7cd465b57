"""Initialising a network anew after it was cut, as its own constructor would have at that width.

Weights sliced from a wider network have the wrong variance: how large they start depends on how many there
are. So what a constructor does to its tensors is recorded while it runs, and done again on the cut network,
in the same order: `reset_parameters` of its modules, functions of `torch.nn.init` with their arguments, and
fills in place. Under the seed that the constructor had, this draws what a narrow network's would.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_RESETS = ("reset_parameters", "_reset_parameters")
#: In place, whatever was there before.
_FILLS = frozenset({"normal_", "uniform_", "fill_", "zero_", "bernoulli_", "exponential_", "random_"})
_DRAWS = ("normal_", "uniform_", "trunc_normal_")
#: In place, but no values: they are no part of how a tensor starts.
_NO_VALUES = frozenset({"requires_grad_", "share_memory_", "detach_", "retain_grad_"})


@dataclass(slots=True)
class Call:
    """One outermost call that started tensors.

    kind: "reset" of a module, "init" of `torch.nn.init`, "fill" of a tensor, or "other", which cannot be
    repeated. owner: what it was called on. arguments, options: the others. written: tensors it wrote to.
    """

    kind: str
    name: str
    owner: nn.Module | Tensor
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    written: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """A recorded call, by the path of what it is to be done to."""

    kind: str
    name: str
    path: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Initialisation:
    """How a constructor started its network.

    steps: what it did, in order. kept: parameters that no recorded call made whole: cut from the wide
    network, their values stay as they are. kept_buffers: buffers that are written in such ways.
    """

    steps: tuple[Step, ...]
    kept: tuple[str, ...]
    kept_buffers: tuple[str, ...] = ()

    @torch.no_grad()
    def replay(self, network: nn.Module) -> None:
        """Do the same to a network with the same paths, in place, from torch's global generator."""
        tensors = _tensors(network)
        slices = {path: tensors[path].clone() for path in (*self.kept, *self.kept_buffers)}
        for step in self.steps:
            if step.kind == "reset":
                getattr(network.get_submodule(step.path), step.name)(*step.arguments, **step.options)
                continue
            function = getattr(nn.init if step.kind == "init" else Tensor, step.name)
            function(tensors[step.path], *step.arguments, **step.options)
        for path, values in slices.items():
            tensors[path].copy_(values)

    def literals(self, wide: Mapping[str, tuple[int, ...]], narrow: nn.Module) -> tuple[str, ...]:
        """Sentences that name tensors drawn with a spread that is a number, which their old width explains.

        Args:
            wide: parameter -> its shape before the cut.
            narrow: the network after it.
        """
        said = []
        for step in self.steps:
            if step.name not in _DRAWS:
                continue
            given = [*step.arguments, *step.options.values()]
            numbers = [abs(float(value)) for value in given if isinstance(value, int | float) and value]
            shape, now = wide.get(step.path, ()), tuple(_tensors(narrow)[step.path].shape)
            for name, fan in _fans(shape).items():
                found = next((n for n in numbers if fan != _fans(now)[name] and _explains(fan, n)), None)
                if found is not None:
                    said.append(
                        f"{step.path} starts with {step.name}({found:g}), which its {name} {fan} explains; "
                        "at another width it starts with the same number"
                    )
                    break
        return tuple(dict.fromkeys(said))


class _Recorder(TorchFunctionMode):
    """Notes what starts tensors. Works on whoever called: `from torch.nn.init import ...` is seen as well."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._frame: FrameType | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        self._note(func, args, kwargs)
        return func(*args, **kwargs)

    def _note(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        frame, name = _outermost(), getattr(func, "__name__", "")
        target: Any = args[0] if args else kwargs.get("tensor")
        in_place = name.endswith("_") and not name.endswith("__") and name not in _NO_VALUES
        writes = isinstance(target, Tensor) and (in_place or name == "__setitem__")
        if frame is not None and frame is not self._frame:
            self.calls.append(_called(frame))
        self._frame = frame  # kept, so that no later one is taken for it
        if frame is not None and writes:
            self.calls[-1].written.append(target)
        elif writes:
            options = {key: value for key, value in kwargs.items() if key != "tensor"}
            given = (*args[1:], *options.values())
            plain = in_place and not any(isinstance(value, Tensor) for value in given)
            self.calls.append(Call("fill" if plain else "other", name, target, args[1:], options, [target]))


def _outermost() -> FrameType | None:
    """The outermost call of a reset or of a function of `torch.nn.init` that is under way."""
    found: FrameType | None = None
    under_way: FrameType | None = sys._getframe(2)
    while under_way is not None:
        if _is_reset(under_way) or _is_init(under_way):
            found = under_way
        under_way = under_way.f_back
    return found


def _is_reset(frame: FrameType) -> bool:
    return frame.f_code.co_name in _RESETS and isinstance(frame.f_locals.get("self"), nn.Module)


def _is_init(frame: FrameType) -> bool:
    name, module = frame.f_code.co_name, frame.f_globals.get("__name__")
    return module == "torch.nn.init" and name.endswith("_") and not name.startswith("_")


def _called(frame: FrameType) -> Call:
    code, values = frame.f_code, frame.f_locals
    names = _argument_names(code)
    owner, given = values[names[0]], {name: values[name] for name in names[1:] if name in values}
    kind = "reset" if code.co_name in _RESETS else "init"
    return Call(kind, code.co_name, owner, (), given)


def _argument_names(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@contextmanager
def recording() -> Iterator[Callable[[nn.Module], Initialisation]]:
    """Record, for the length of the context, how tensors are started.

    Gives a function that says it of a network that was built in the context, before anything is cut.
    """
    with _Recorder() as recorder:
        yield lambda network: _of(network, recorder.calls)


def _of(network: nn.Module, calls: list[Call]) -> Initialisation:
    modules = {id(module): path for path, module in network.named_modules()}
    tensors = _tensors(network)
    places = {_place(tensor): path for path, tensor in reversed(list(tensors.items()))}
    storages: dict[int, list[str]] = {}
    for path, tensor in tensors.items():
        storages.setdefault(_storage(tensor), []).append(path)
    steps: list[Step] = []
    made: set[str] = set()
    spoilt: set[str] = set()
    for call in calls:
        at = modules.get(id(call.owner)) if call.kind == "reset" else places.get(_place(call.owner))
        written = {path for tensor in call.written for path in storages.get(_storage(tensor), ())}
        is_relative = call.kind == "fill" and call.name not in _FILLS and at not in made
        if call.kind == "other" or at is None or is_relative:
            # Written in part, from values that nobody recorded, or by what has left the network.
            spoilt |= written
            continue
        steps.append(Step(call.kind, call.name, at, call.arguments, call.options))
        made |= written
    kept = tuple(path for path, _ in network.named_parameters() if path in spoilt or path not in made)
    buffers = tuple(path for path, _ in network.named_buffers() if path in spoilt)
    return Initialisation(tuple(steps), kept, buffers)


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _storage(tensor: Any) -> int:
    return tensor.untyped_storage()._cdata if isinstance(tensor, Tensor) else 0


def _place(tensor: Any) -> tuple[Any, ...]:
    if not isinstance(tensor, Tensor):
        return ()
    return _storage(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def _fans(shape: tuple[int, ...]) -> dict[str, int]:
    if len(shape) < 2:
        return {"length": shape[0]} if shape else {}
    field_size = math.prod(shape[2:])
    return {"fan-in": shape[1] * field_size, "fan-out": shape[0] * field_size}


def _explains(fan: int, number: float) -> bool:
    """Whether a number is one that spreads are made of by a fan: a power of it, times 1, 2, 3 or 6."""
    made = [fan, *(math.sqrt(times / fan) for times in (1, 2, 3, 6)), 1 / fan, math.sqrt(fan)]
    return any(math.isclose(number, each, rel_tol=1e-6) for each in made)
