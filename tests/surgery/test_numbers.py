"""What rules cannot see shows in the numbers: offered is only what can be cut, and nothing changes unseen."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.surgery import Remove, SurgeryError, apply, trace
from tests.surgery.helpers import change, images, measure, removals, silence, some_classes
from tests.surgery.networks import NETWORKS


class Scaled(nn.Linear):
    """Equalised learning rate: the width is read when the layer runs."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias) * self.weight.shape[1] ** -0.5


class ScaledInTraining(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        made = F.linear(x, self.weight, self.bias)
        return made / x.shape[-1] if self.training else made


class Silent(nn.Module):
    """A branch that counts for nothing as yet, and computes with its width."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.rest = nn.Linear(4, 8), Scaled(8, 3), nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.rest(x) + self.scale * self.b(self.a(x).relu())
        return made


class Dead(nn.Sequential):
    """Nothing gets through its first layer."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 8), nn.ReLU(), Scaled(8, 6), nn.ReLU(), nn.Linear(6, 3))
        nn.init.constant_(self.get_parameter("0.bias"), -100.0)
        nn.init.zeros_(self.get_parameter("2.bias"))


def _first(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("make", "guilty"),
    [
        (lambda: _first(nn.Linear(4, 8), nn.ReLU(), Scaled(8, 6), nn.ReLU(), nn.Linear(6, 3)), "0"),
        (lambda: _first(nn.Linear(4, 8), nn.ReLU(), ScaledInTraining(8, 6), nn.ReLU(), nn.Linear(6, 3)), "0"),
        (Silent, "a"),
        (Dead, "0"),
    ],
)
def test_only_layers_whose_width_is_computed_with_are_refused(
    make: Callable[[], nn.Module], guilty: str, kind: torch.dtype
) -> None:
    torch.manual_seed(0)
    network, x = make().to(kind), torch.randn(5, 4, dtype=kind)
    before, generator = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    held = dict(network.named_parameters())

    structure = trace(network, x)

    refused = {layer: structure.group(layer).refused for layer in structure.units}
    assert "needed by arithmetic that cannot be followed" in (refused[guilty] or "")
    others = [reason for layer, reason in refused.items() if layer != guilty and reason is not None]
    assert set(others) == {"belongs to the network's output"}
    assert all(torch.equal(own, before[name]) for name, own in network.state_dict().items())
    assert all(own is held[name] for name, own in network.named_parameters())
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.parametrize("layer", [Scaled, ScaledInTraining])
def test_a_removal_that_changes_the_output_is_taken_back(layer: type[nn.Module]) -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), layer(8, 3)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    with torch.no_grad():
        network.get_parameter("0.weight")[[1, 2]] = 0
        network.get_parameter("0.bias")[[1, 2]] = 0
    before, held = copy.deepcopy(network.state_dict()), list(network.parameters())
    mode = "training" if layer is ScaledInTraining else "evaluation"
    for exact in (True, False):
        with pytest.raises(SurgeryError, match=rf"changes the output in {mode} mode by 0.\d+ of its scale"):
            apply(network, None, [Remove("0", (1, 2), exact)], x)
    assert all(torch.equal(own, before[name]) for name, own in network.state_dict().items())
    assert all(own is old for own, old in zip(network.parameters(), held, strict=True))


def test_units_that_vary_are_compared_with_the_same_held_at_zero() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), Scaled(8, 3)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    with pytest.raises(SurgeryError, match="changes the output"):
        apply(network, None, [Remove("0", (1, 2))], x)
    network[2] = nn.Linear(8, 3).double()
    assert apply(network, None, [Remove("0", (1, 2))], x).folded == ("2",)


class Drawing(nn.Module):
    """Draws numbers of its own, as many as it has units."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        made: Tensor = self.b(h * (1 + 0.1 * torch.randn_like(h)))
        return made


def test_a_network_that_draws_numbers_of_its_own_can_be_cut() -> None:
    network, x = Drawing().double(), torch.randn(5, 4, dtype=torch.float64)
    assert trace(network, x).group("a").removable == 8
    with torch.no_grad():
        network.a.weight[[1, 2]] = 0
        network.a.bias[[1, 2]] = 0
    assert apply(network, None, [Remove("a", (1, 2), exact=True)], x).removed == {"a": 2}


@pytest.mark.parametrize("name", ["lenet5", "basic_resnet"])
def test_half_precision_loses_no_more_than_its_own_rounding(name: str) -> None:
    """In training mode a small batch makes much of it: seen in double precision nothing has changed."""
    make, side = NETWORKS[name]
    torch.manual_seed(0)
    network, x = make().half(), images(4, side, torch.float16)
    structure = trace(network, x[:2])
    classes = some_classes(structure)
    silence(network, structure, classes)
    before = measure(copy.deepcopy(network).double(), x.double())
    apply(network, None, removals(structure, classes), x[:2])
    assert max(change(before, measure(copy.deepcopy(network).double(), x.double()))) <= 1e-10


class Bits(nn.Module):
    """Reads the bits of its units as other numbers."""

    def __init__(self, kind: torch.dtype, read: int) -> None:
        super().__init__()
        self.kind, self.a, self.b = kind, nn.Linear(4, 8), nn.Linear(read, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.b(self.a(x).sigmoid().view(self.kind).to(x.dtype) / 2.0**31)
        return made


@pytest.mark.parametrize(("kind", "read"), [(torch.int32, 8), (torch.int16, 16)])
def test_units_whose_bits_are_read_stay(kind: torch.dtype, read: int) -> None:
    reason = trace(Bits(kind, read), torch.randn(3, 4)).group("a").refused
    assert reason == "read as numbers of another type, bit by bit"


def test_a_layer_of_no_unit_is_in_nobodys_way() -> None:
    class Tailed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.tail = nn.Linear(4, 6), nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 6])

        def forward(self, x: Tensor) -> Tensor:
            # The last cluster is projected to 6 / 4 ** 2 entries: none.
            made: Tensor = self.tail.log_prob(self.a(x).relu())
            return made

    network, x = Tailed().double(), torch.randn(3, 4, dtype=torch.float64)
    structure = trace(network, x)
    silence(network, structure, {structure.classes["a"][1]})
    before = network(x)
    assert apply(network, None, [Remove("a", (1,), exact=True)], x).removed == {"a": 1}
    assert (network(x) - before).abs().max() < 1e-10


@pytest.mark.parametrize(
    "name", ["mlp", "lenet5", "densenet", "squeezenet", "shufflenet_v2", "convnext", "vit", "unet"]
)
def test_what_is_offered_is_carried_out_down_to_the_last_unit(name: str) -> None:
    make, side = NETWORKS[name]
    network, x = make(), images(2, side, torch.float32)
    structure = trace(network, x)
    staying: set[int] = set()
    for group in structure.groups:
        for layer in group.layers:
            own = sorted(set(structure.classes[layer]))
            staying.update(own if group.refused is not None else own[:1])
    going = {root for own in structure.classes.values() for root in own} - staying
    receipt = apply(network, None, removals(structure, going, exact=False), x)
    assert receipt.refused is None
    for layer, units in structure.units.items():
        kept = sum(root in staying for root in structure.classes[layer])
        assert receipt.removed.get(layer, 0) == units - kept
