"""Seeing whether chance decides which operations a network runs: one pass would then not show them all."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from harness.surgery.errors import SurgeryError

#: What code may compare with a probability, a single number between zero and one, is drawn at both ends once,
#: so that what is rare is seen as well.
_ENDS = (0.0, 1.0 - 2.0**-24)
#: Passes beside these, each with a seed of its own.
_SEEDS = 4
_DRAWN = frozenset({torch.rand, torch.rand_like, Tensor.uniform_})


def devices_of(modules: Iterable[nn.Module]) -> set[torch.device]:
    """Where the parameters of some modules are, each of them alone."""
    return {own.device for module in modules for own in module._parameters.values() if own is not None}


def generators(network: nn.Module) -> tuple[object, ...]:
    """The states of all generators that a forward pass may draw from."""
    devices = [device for device in devices_of(network.modules()) if device.type == "cuda"]
    states = [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices)]
    name, keys, *rest = np.random.get_state(legacy=True)
    of_numpy = name, np.asarray(keys).tobytes(), *rest
    return (*(bytes(state.numpy()) for state in states), random.getstate(), *of_numpy)


def seed_all(seed: int) -> None:
    """Seed all generators that a forward pass may draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def check_chance(run: Callable[[], object], mode: str) -> None:
    """Refuse a network that goes by random numbers where it decides what to run, or on how much.

    Args:
        run: runs the network, with gradients as when it was followed; the caller gives generators back.
        mode: that it runs in, in words.

    Raises:
        SurgeryError: in one sentence.
    """
    first = None
    for number in range(len(_ENDS) + _SEEDS):
        seed_all(number)
        steps = _run(run, _ENDS[number] if number < len(_ENDS) else None)
        first = steps if first is None else first
        if steps != first:
            raise SurgeryError(
                f"The network decides by chance in {mode} mode which operations it runs, or on how much, "
                "so that no pass shows all that it may do; switch that off, or draw a factor instead."
            )


def _run(run: Callable[[], object], end: float | None) -> list[tuple[object, ...]]:
    """The operations of a pass, each with the shape that it gives and the parameters that it reads."""
    plain = random.random
    with _Steps() as steps, _Extreme(end, steps):
        if end is not None:
            random.random = lambda: end
        try:
            run()
        finally:
            random.random = plain
    found: list[tuple[object, ...]] = steps.found
    return found


class _Steps(TorchDispatchMode):
    """Keeps the names of operations that run, the shapes that they give, and which parameters they read."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[tuple[object, ...]] = []
        self.away = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not self.away:
            read = tuple(id(own) for own in args if isinstance(own, nn.Parameter))
            self.found.append((str(func), tuple(out.shape) if isinstance(out, Tensor) else None, read))
        return out


class _Extreme(TorchFunctionMode):
    """Has every single number that is drawn between zero and one be the same one, if one is given."""

    def __init__(self, end: float | None, steps: _Steps) -> None:
        super().__init__()
        self._end, self._steps = end, steps

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if self._end is not None and func in _DRAWN and made.numel() == 1:
            self._steps.away = True
            made.fill_(self._end)
            self._steps.away = False
        return made
