"""Networks and examples that surgery refuses: one clear sentence each."""

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import SurgeryError, trace
from tests.surgery.helpers import images
from tests.surgery.networks import lenet


class DataFlow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return x * 2 if x.sum() > 0 else x


class _Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.relu()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class OwnGradient(DataFlow):
    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = _Own.apply(self.layer(x))
        return made


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (DataFlow(), "reads the values of its data in Python"),
        (OwnGradient(), "autograd function '_Own'"),
        (nn.Sequential(nn.DataParallel(nn.Linear(4, 3))), "The module at 0 is wrapped for several devices"),
        (nn.Linear(4, 3, device="meta"), "parameters on meta but the example is on cpu"),
        (nn.Linear(5, 3), "does not run on an example of shape (2, 4)"),
    ],
)
def test_networks_that_cannot_be_followed(network: nn.Module, words: str) -> None:
    with pytest.raises(SurgeryError) as error:
        trace(network, torch.randn(2, 4))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_compiled_network() -> None:
    with pytest.raises(SurgeryError, match="is compiled"):
        trace(torch.compile(nn.Linear(4, 3)), torch.randn(2, 4))  # type: ignore[arg-type]


def test_an_example_of_the_wrong_shape() -> None:
    with pytest.raises(SurgeryError, match=r"does not run on an example of shape \(2, 1, 32, 32\)"):
        trace(lenet(), images(2, 32, torch.float32, channels=1))


class Deepening(nn.Sequential):
    """Halves its pictures until their size in training is a single place."""

    def __init__(self) -> None:
        super().__init__(nn.Conv1d(2, 4, 3, 2, 1), nn.InstanceNorm1d(4, track_running_stats=True), nn.ReLU())


def test_an_example_that_is_too_small_for_training_says_what_to_give() -> None:
    with pytest.raises(SurgeryError, match="give one on which it can be trained, with as many"):
        trace(Deepening(), torch.randn(2, 2, 2))


def test_a_network_with_no_layer_of_units() -> None:
    assert trace(nn.Sequential(nn.Flatten(), nn.ReLU()), torch.randn(2, 4)).groups == ()


def test_a_layer_without_units_is_named_with_those_that_have_some() -> None:
    with pytest.raises(SurgeryError, match="The layer 'fc' makes no units; layers that do: 0, 3, 7, 9"):
        trace(lenet(), images(2, 32, torch.float32)).group("fc")
