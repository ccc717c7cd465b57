"""What is no plain network is refused in a sentence, by every edit and by the trace."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.surgery import (
    Assign,
    InsertBlock,
    Mask,
    NetworkEdit,
    Remove,
    RemoveBlock,
    SurgeryError,
    apply,
    trace,
)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

_X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def _network(**options: Any) -> Any:
    return nn.Sequential(nn.Linear(6, 8, **options), nn.ReLU(), nn.Linear(8, 5, **options))


def _with_weight(weight: Any) -> nn.Module:
    network = _network()
    del network[0].weight
    network[0].register_parameter("weight", weight)
    return network


class _OwnTensor(Tensor):
    pass


def _made_in_inference_mode() -> nn.Module:
    with torch.inference_mode():
        return _network()


_REFUSED: dict[str, tuple[str, Callable[[], Any]]] = {
    "lazy": (
        r"'0.weight' belongs to a lazy layer .* run the network once first",
        lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(5)),
    ),
    "traced": ("at the root is scripted or traced by torch.jit", lambda: torch.jit.trace(_network(), _X)),
    "scripted": ("at the root is scripted or traced by torch.jit", lambda: torch.jit.script(_network())),
    "scripted inside": (
        "at 1 is scripted or traced",
        lambda: nn.Sequential(nn.Linear(6, 8), torch.jit.script(nn.ReLU()), nn.Linear(8, 5)),
    ),
    "exported": ("was made by torch.export", lambda: torch.export.export(_network(), (_X,)).module()),
    "wrapped": ("is wrapped for several devices", lambda: nn.DataParallel(_network())),
    "compiled": ("is compiled", lambda: torch.compile(_network())),
    "sparse": (
        r"'0.weight' is sparse \(torch.sparse_csr\)",
        lambda: _with_weight(nn.Parameter(torch.randn(8, 6).to_sparse_csr())),
    ),
    "of a class": (
        "'0.weight' is a _OwnTensor, a tensor of a class of its own",
        lambda: _with_weight(nn.Parameter(torch.randn(8, 6).as_subclass(_OwnTensor))),
    ),
    "inference": ("'0.weight' was made in inference mode", _made_in_inference_mode),
    "function": ("works on an nn.Module, not on a function", lambda: lambda x: x),
}
_EDITS: list[NetworkEdit] = [
    Remove("0", (1,)),
    Mask("0.weight", torch.arange(48).view(8, 6) > 9),
    Assign("0.weight", torch.zeros(())),
    RemoveBlock("1"),
    InsertBlock("1", nn.Identity()),
]


@pytest.mark.parametrize("kind", _REFUSED)
def test_one_sentence_says_what_it_is(kind: str) -> None:
    said, make = _REFUSED[kind]
    network = make()
    with pytest.raises(SurgeryError, match=said):
        trace(network, _X)
    for edit in _EDITS:
        with pytest.raises(SurgeryError, match=said):
            apply(network, None, [edit], _X)


def test_without_values_a_network_cannot_be_looked_at() -> None:
    network, x = _network(device="meta"), _X.to("meta")
    with pytest.raises(SurgeryError, match=r"'0.weight' has no values .*'meta'"):
        trace(network, x)
    for edit in _EDITS:
        with pytest.raises(SurgeryError, match=r"'0.weight' has no values .*'meta'"):
            apply(network, None, [edit], x)


def test_inference_mode_around_surgery_leaves_a_network_that_trains() -> None:
    network = _network()
    with torch.inference_mode():
        apply(network, None, [Remove("0", (1,)), Assign("2.bias", torch.zeros(()))], _X + 1)
    network(_X).sum().backward()
    assert not any(own.is_inference() for own in network.parameters())


def test_buffers_that_the_first_pass_makes_grow_are_given_back() -> None:
    class Observing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(6, 8), nn.Linear(8, 5)
            self.register_buffer("largest", torch.empty(0))

        def forward(self, x: Tensor) -> Any:
            x = self.layer(x)
            self.get_buffer("largest").resize_(8).copy_(x.detach().amax(0))
            return self.head(x)

    network = Observing()
    trace(network, _X)
    assert network.largest.shape == (0,)


def test_a_network_without_gradients_says_so_when_it_is_masked() -> None:
    class Entering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(6, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Any:
            return self.head(checkpoint(self.layer, x, use_reentrant=True))

    with pytest.raises(SurgeryError, match="has no gradient: When use_reentrant=True"):
        apply(Entering(), None, [Mask("layer.bias", torch.arange(8) > 1)], _X)
