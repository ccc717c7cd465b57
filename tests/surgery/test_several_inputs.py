"""Networks of several inputs: an example holds them in order, by name, or as the one thing they are given."""

from collections import UserDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Example, Remove, SurgeryError, apply, trace

_A, _B = (torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (0, 1))


class _Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 5)
        self.double()

    def join(self, a: Tensor, b: Tensor) -> Tensor:
        made: Tensor = self.head(torch.relu(self.left(a) + self.right(b)))
        return made


class _InOrder(_Two):
    def forward(self, a: Tensor, b: Tensor, times: int = 1, noise: Tensor | None = None) -> Tensor:
        return self.join(a, b) * times


class _Pair(_Two):
    def forward(self, pair: Any) -> Tensor:
        a, b = pair
        return self.join(a, b)


class _Named(_Two):
    def forward(self, batch: Any) -> Tensor:
        return self.join(batch.pop("a"), batch["b"])


class _Batch(UserDict[str, Any]):
    """As tokenizers give."""


_CASES: list[tuple[type[_Two], Example]] = [
    (_InOrder, (_A, _B)),
    (_InOrder, [_A, _B, 2, None]),
    (_InOrder, (_A[:1], _B[:1])),
    (_InOrder, {"b": _B, "a": _A, "times": 2}),
    (_InOrder, _Batch({"a": _A, "b": _B})),
    (_Pair, (_A, _B)),
    (_Pair, [_A, _B]),
    (_Named, {"a": _A, "b": _B}),
    (_Named, _Batch({"a": _A, "b": _B})),
]


@pytest.mark.parametrize(("kind", "example"), _CASES)
def test_units_go_in_all_branches_and_the_output_stays(kind: type[_Two], example: Example) -> None:
    torch.manual_seed(0)
    network = kind()
    with torch.no_grad():
        for layer in (network.left, network.right):
            layer.weight[2:4], layer.bias[2:4] = 0, 0
    assert trace(network, example).group("right").removable == 8
    before = network.join(_A, _B)
    receipt = apply(network, None, [Remove("left", (2, 3), exact=True)], example, certify=True)
    assert receipt.removed == {"left": 2, "right": 2}
    assert torch.allclose(network.join(_A, _B), before, rtol=0, atol=1e-12)


def test_one_tensor_given_several_times_is_still_one() -> None:
    seen = []

    class Watching(_Two):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            seen.append(a is b)
            return self.join(a, b)

    apply(Watching(), None, [Remove("left", (0,))], (_A, _A))
    assert all(seen)


def test_what_is_in_an_example_stays_as_it_is() -> None:
    class Greedy(_Two):
        def forward(self, batch: Any) -> Tensor:
            return self.join(batch.pop("a").mul_(0), batch.pop("b"))

    example = {"a": _A.clone(), "b": _B}
    apply(Greedy(), None, [Remove("left", (0,))], example)
    assert torch.equal(example["a"], _A)
    assert example["b"] is _B


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ((_A, object()), "holds a object"),
        ((), "holds no tensor"),
        ((_A, 3), "does not run on an example of shape"),
        ({"a": _A}, r"does not run on an example of shape \{'a': \(3, 4\)\}"),
    ],
)
def test_an_example_that_says_nothing_is_refused(example: Example, said: str) -> None:
    with pytest.raises(SurgeryError, match=said):
        trace(_InOrder(), example)
