"""Outputs in whatever holds them: no output layer is ever cut."""

from collections import UserDict, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.surgery import SurgeryError, apply, trace
from harness.surgery.edits import Remove


@dataclass
class _Held:
    logits: Any


@dataclass(frozen=True, slots=True)
class _Slots:
    logits: Any


class _Private:
    __slots__ = ("__logits",)

    def __init__(self, logits: Tensor) -> None:
        self.__logits = logits


class _Items:
    __slots__ = ()
    held: Tensor

    def __iter__(self) -> Iterator[Tensor]:
        yield _Items.held


def _items(made: Tensor) -> _Items:
    _Items.held = made
    return _Items()


_Named = namedtuple("_Named", "logits other")

_HOLDERS: dict[str, Callable[[Tensor], Any]] = {
    "dataclass": _Held,
    "slots": _Slots,
    "private slot": _Private,
    "namespace": lambda made: SimpleNamespace(logits=made),
    "user dict": lambda made: UserDict(logits=made),
    "deque": lambda made: deque([made]),
    "set": lambda made: {made},
    "generator": lambda made: (part for part in [made]),
    "items": _items,
    "named": lambda made: _Named(made, None),
    "nested": lambda made: {"a": [_Held((None, {"b": _Slots(deque([made]))}))]},
    "closure": lambda made: lambda: made,
    "partial": lambda made: partial(torch.add, made),
}


class _Giving(nn.Module):
    def __init__(self, hold: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b, self.hold = nn.Linear(4, 8), nn.Linear(8, 3), hold

    def forward(self, x: Tensor) -> Any:
        return self.hold(self.b(self.a(x).relu()))


@pytest.mark.parametrize("name", _HOLDERS)
def test_an_output_layer_is_never_cut(name: str) -> None:
    network, x = _Giving(_HOLDERS[name]), torch.randn(4, 4)
    structure = trace(network, x)
    assert structure.group("a").refused is None
    assert structure.group("b").refused == "belongs to the network's output"
    assert apply(network, None, [Remove("b", (0,))], x).removed == {}
    assert apply(network, None, [Remove("a", (0,))], x).removed == {"a": 1}


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        (lambda made: None, "gives a NoneType without any tensor"),
        (lambda made: _Held(3), "gives a _Held without any tensor"),
        (lambda made: (made, np.zeros(3)), "gives a numpy.ndarray, in which surgery cannot look"),
        (lambda made: (made, np.random.default_rng()), "in which surgery cannot look"),
    ],
)
def test_what_cannot_be_looked_into_is_refused(hold: Callable[[Tensor], Any], words: str) -> None:
    with pytest.raises(SurgeryError, match=words):
        trace(_Giving(hold), torch.randn(4, 4))
