"""Criteria of whole units: against brute force, with a unit in one layer or in several."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.architectures.resnet import ResNet
from harness.datasets.base import Part
from harness.objectives.classification import Classification
from harness.sizing.criteria.feature_maps import places_of_maps
from harness.sizing.criteria.smallest import apportioned
from harness.sizing.criteria.taylor import taylor
from harness.sizing.criteria.unit_magnitude import incoming, norm_scales
from harness.sizing.criteria.units import JUDGED, Units, coupled_units, single_units
from harness.sizing.criteria.useless import least, unit_scores
from harness.sizing.criteria.zeros import activity
from harness.sizing.initialisers import Initialiser, new_weights
from harness.sizing.probe import Probe
from harness.surgery import trace

Scores = Mapping[str, Tensor]


class Plain(nn.Module):
    """A convolution with normalisation and a ReLU that is a function; one without, whose ReLU is in place; a
    hidden layer; an output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 3, 3)
        self.relu2 = nn.ReLU(inplace=True)
        self.hidden = nn.Linear(3 * 4, 5)
        self.output = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu(self.norm1(self.conv1(x)))
        x = nn.functional.max_pool2d(self.relu2(self.conv2(x)), 2)
        made: Tensor = self.output(self.hidden(x.flatten(1)).relu())
        return made


def plain() -> nn.Module:
    return started(Plain())


def residual() -> nn.Module:
    architecture = ResNet(blocks=(1, 1))
    sizes = dict.fromkeys(architecture.sized_layers, 4)
    return started(architecture.build((2, 6, 6), 3, sizes))


def started(network: nn.Module) -> nn.Module:
    """In double precision, in evaluation mode, normalisations unlike their start."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for own in (module.weight, module.bias, module.running_mean):
                assert own is not None
                nn.init.uniform_(own, 0.3, 1.5, generator=generator)
    return network.double().eval()


def examples(side: int = 6, count: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(count, 2, side, side, generator=generator, dtype=torch.float64)
    return x, torch.arange(count) % 3


def probe_of(x: Tensor, y: Tensor) -> Probe:
    return Probe(Part(x, y), 3, Classification())


def looked_at(
    network: nn.Module, layers: tuple[str, ...] | None = None
) -> tuple[list[Units], dict[str, str], Mapping[str, str]]:
    structure = trace(network, examples()[0][:1])
    units = coupled_units(structure, layers) if layers else single_units(network, structure, JUDGED)
    return units, places_of_maps(units, network, structure.norms), structure.norms


def scaled(
    network: nn.Module, places: Mapping[str, str], group: Units, unit: int, factor: float
) -> Callable[[Tensor], Tensor]:
    """The network with the feature maps of one unit times a factor, wherever it lies."""

    def run(x: Tensor) -> Tensor:
        hooks = []
        for layer, own in group.members.items():
            factors = torch.ones(len(own), dtype=torch.float64)
            factors[own == unit] = factor

            def times(module: nn.Module, given: Any, made: Tensor, factors: Tensor = factors) -> Tensor:
                return made * factors.view(1, -1, *([1] * (made.dim() - 2)))

            hooks.append(network.get_submodule(places[layer]).register_forward_hook(times))
        try:
            with torch.no_grad():
                made: Tensor = network(x)
        finally:
            for hook in hooks:
                hook.remove()
        return made

    return run


def positions(network: nn.Module, place: str) -> int:
    seen: list[int] = []
    hook = network.get_submodule(place).register_forward_hook(
        lambda module, given, made: seen.append(math.prod(made.shape[2:]))
    )
    network(examples()[0][:1])
    hook.remove()
    return seen[0]


@pytest.mark.parametrize(
    ("make", "layers"),
    [
        (plain, None),
        (residual, None),
        (residual, ("conv1", "stage1.0.conv1", "stage2.0.conv2", "stage2.0.conv1")),
    ],
    ids=["plain", "residual, filters", "residual, streams"],
)
def test_taylor_is_the_change_of_the_loss_by_zeroing_a_filter_to_first_order(
    make: Callable[[], nn.Module], layers: tuple[str, ...] | None
) -> None:
    network, (x, y), step = make(), examples(), 1e-6
    units, places, _ = looked_at(network, layers)
    found = taylor(network, units, places, probe_of(x, y).batches(), probe_of(x, y))
    assert sum(group.count for group in units) == sum(len(own) for own in found.values()) > 10
    for group in units:
        over = positions(network, places[group.layer])
        for unit in range(group.count):
            above, below = (
                nn.functional.cross_entropy(
                    scaled(network, places, group, unit, factor)(x), y, reduction="none"
                )
                for factor in (1 + step, 1 - step)
            )
            slope = (above - below) / (2 * step)  # towards zero the loss changes by as much, the other way
            assert float(found[group.layer][unit]) == pytest.approx(
                float(slope.abs().mean()) / over, abs=1e-9
            )


def test_a_unit_that_matters_little_changes_the_loss_by_its_score_when_it_is_zeroed() -> None:
    network, (x, y) = plain(), examples(count=1)
    with torch.no_grad():
        network.get_parameter("conv2.weight")[:, 1] *= 1e-5
    units, places, _ = looked_at(network)
    found = taylor(network, units, places, [(x, y)], probe_of(x, y))
    [group] = [own for own in units if own.layer == "conv1"]
    zeroed = scaled(network, places, group, 1, 0.0)(x)
    change = nn.functional.cross_entropy(zeroed, y) - nn.functional.cross_entropy(network(x), y)
    assert float(found["conv1"][1]) * 36 == pytest.approx(abs(float(change.detach())), rel=1e-3)


def test_taylor_is_zero_where_nothing_is_made_or_heard_and_positions_may_cancel() -> None:
    network, (x, y) = plain(), examples()
    with torch.no_grad():
        network.get_parameter("conv2.weight")[:, 0] = 0
        network.get_parameter("norm1.weight")[2] = network.get_parameter("norm1.bias")[2] = 0
    units, places, _ = looked_at(network)
    signed, absolute = (
        taylor(network, units, places, [(x, y)], probe_of(x, y), cancelling=cancelling)
        for cancelling in (True, False)
    )
    assert signed["conv1"][[0, 2]].tolist() == absolute["conv1"][[0, 2]].tolist() == [0, 0]
    assert all((absolute[layer] >= own - 1e-15).all() for layer, own in signed.items())
    assert (absolute["conv1"][1] > 1.01 * signed["conv1"][1]).all()
    assert torch.allclose(absolute["hidden"], signed["hidden"]), "a hidden unit has one position"


def test_batches_do_not_matter_and_the_network_is_left_alone() -> None:
    network, (x, y) = residual(), examples()
    before = {name: own.clone() for name, own in network.state_dict().items()}
    units, places, _ = looked_at(network)
    whole, parts = (
        taylor(network, units, places, zip(x.split(size), y.split(size), strict=True), probe_of(x, y))
        for size in (7, 2)
    )
    for layer, own in whole.items():
        assert torch.allclose(own, parts[layer], rtol=1e-10)
    assert all(torch.equal(own, before[name]) for name, own in network.state_dict().items())
    assert all(own.grad is None for own in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_zeros_are_counted_behind_every_kind_of_relu() -> None:
    network, (x, _) = plain(), examples()
    units, places, _ = looked_at(network)
    found = activity(network, units, places, [(x[:4], x), (x[4:], x)])
    first = network.norm1(network.conv1(x)).relu()  # type: ignore[operator]
    second = network.conv2(first).relu()  # type: ignore[operator]
    hidden = network.hidden(nn.functional.max_pool2d(second, 2).flatten(1)).relu()  # type: ignore[operator]
    for layer, map_ in (("conv1", first), ("conv2", second)):
        assert torch.allclose(found[layer], (map_ != 0).double().mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(found["hidden"], (hidden != 0).double().mean(0), atol=1e-6)


def test_zeros_of_a_residual_stream_are_those_of_its_sums() -> None:
    network, (x, _) = residual(), examples()
    units, places, _ = looked_at(network, ("stage2.0.conv2",))
    kept: list[Tensor] = []
    hook = network.get_submodule("stage2.0.relu2").register_forward_hook(
        lambda module, given, made: kept.append(made.detach())
    )
    network(x)
    hook.remove()
    found = activity(network, units, places, [(x, x)])
    assert torch.allclose(found["stage2.0.conv2"], (kept[0] != 0).double().mean((0, 2, 3)), atol=1e-6)


def test_what_a_criterion_looks_at_must_be_there() -> None:
    units, places, norms = looked_at(plain())
    with pytest.raises(ValueError, match="the scale of a normalisation is asked for, and none follows conv2"):
        norm_scales(plain(), units, norms)
    smooth = nn.Sequential(nn.Flatten(), nn.Linear(72, 4), nn.Tanh(), nn.Linear(4, 3)).double().eval()
    units, places, _ = looked_at(smooth)
    with pytest.raises(ValueError, match="zeros are counted of what a ReLU makes, and none follows 1;"):
        activity(smooth, units, places, [examples()])


def test_sizes_of_units() -> None:
    network = residual()
    units, _, norms = looked_at(network, ("conv1", "stage1.0.conv1"))
    first = network.get_parameter("conv1.weight").flatten(1)
    second = network.get_parameter("stage1.0.conv2.weight").flatten(1)
    inner = network.get_parameter("stage1.0.conv1.weight").flatten(1)
    by_l1, by_l2 = (incoming(network, units, order) for order in (1, 2))
    assert torch.allclose(by_l1["conv1"], (first.abs().sum(1) + second.abs().sum(1)) / 2)
    assert torch.allclose(by_l2["stage1.0.conv1"], inner.square().sum(1).sqrt())
    scales = norm_scales(network, units, norms)
    gammas = [network.get_parameter(f"{norm}.weight") for norm in ("norm1", "stage1.0.norm2")]
    assert torch.allclose(scales["conv1"], (gammas[0].abs() + gammas[1].abs()) / 2)


def test_normalised_scores_have_a_norm_of_one_a_layer() -> None:
    network, (x, y) = plain(), examples()
    units, _, norms = looked_at(network)
    for criterion in ("taylor", "taylor-absolute", "zeros", "l1", "l2"):
        generator = torch.Generator().manual_seed(0)
        found = unit_scores(
            network, units, norms, probe_of(x, y), generator, criterion, examples=5, normalised=True
        )
        assert [float(own.norm()) for own in found.values()] == pytest.approx([1.0] * 3)


def test_at_random_a_large_layer_loses_no_more_than_its_share() -> None:
    network = started(nn.Sequential(nn.Linear(3, 400), nn.ReLU(), nn.Linear(400, 40), nn.Linear(40, 2)))
    structure = trace(network, torch.zeros(1, 3, dtype=torch.float64))
    units = single_units(network, structure, JUDGED)
    probe = probe_of(torch.zeros(4, 3), torch.zeros(4))
    found = unit_scores(network, units, {}, probe, torch.Generator(), "random", normalised=True)
    gone = least(found, 220, by_layer=False)
    assert 12 <= int(gone["2"].sum()) <= 28, "half of 40, and not those of a layer with larger scores"


def test_a_layer_that_is_not_called_is_refused() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.output = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.output(nn.functional.linear(x, self.hidden.weight).relu())
            return made

    network, x = started(Bare()), torch.zeros(2, 3, dtype=torch.float64)
    units = single_units(network, trace(network, x[:1]), JUDGED)
    probe = probe_of(x, torch.zeros(2, dtype=torch.int64))
    for criterion in ("taylor", "zeros"):
        with pytest.raises(ValueError, match="the units of hidden make cannot be seen"):
            unit_scores(network, units, {}, probe, torch.Generator(), criterion)


def test_scores_that_are_not_finite_are_an_error() -> None:
    network, (x, y) = plain(), examples()
    with torch.no_grad():
        network.get_parameter("conv1.weight")[0] = math.nan
    units, _, norms = looked_at(plain())
    with pytest.raises(FloatingPointError, match="what the units of 'conv1' are worth is not finite"):
        unit_scores(network, units, norms, probe_of(x, y), torch.Generator(), "l2")


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    count=st.integers(0, 30),
    keep=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_exactly_so_many_go_and_every_layer_keeps_its_best(
    sizes: list[int], count: int, keep: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = {f"{n}": torch.randint(0, 4, (size,), generator=generator) * 1.0 for n, size in enumerate(sizes)}
    may_go = sum(max(0, size - keep) for size in sizes)
    for by_layer in (False, True):
        gone = least(scores, count, by_layer=by_layer, keep=keep)
        assert sum(int(own.sum()) for own in gone.values()) == min(count, may_go)
        for layer, own in gone.items():
            left = scores[layer][~own]
            assert len(left) >= min(keep, len(own))
            assert not own.any() or not len(left) or scores[layer][own].max() <= left.max()
    if not keep and count <= may_go:
        shares = {layer: int(own.sum()) for layer, own in gone.items()}
        assert shares == apportioned({layer: len(own) for layer, own in scores.items()}, count)


MEAN, SPREAD = 0.3, 0.2


@pytest.mark.parametrize(
    ("initialiser", "mean", "deviation", "bound"),
    [
        ("uniform", 0.0, 0.05 / math.sqrt(3), 0.05),
        ("he", 0.0, math.sqrt(2 / 400), math.sqrt(6 / 400)),
        ("he-as-printed", 0.0, math.sqrt(6) / 800 / math.sqrt(3), math.sqrt(6) / 800),
        ("distribution", MEAN, SPREAD, math.inf),
        ("resampled", MEAN, SPREAD, math.inf),
    ],
)
@pytest.mark.parametrize("by_filter", [True, False])
def test_moments_of_the_initialisers(
    initialiser: Initialiser, mean: float, deviation: float, bound: float, by_filter: bool
) -> None:
    generator = torch.Generator().manual_seed(1)
    weight = MEAN + SPREAD * torch.randn(60, 16, 5, 5, generator=generator)
    made = new_weights(weight, torch.arange(50), initialiser, generator, by_filter=by_filter)
    assert made.shape == (50, 16, 5, 5)
    assert float(made.mean()) == pytest.approx(mean, abs=5 * deviation / math.sqrt(20_000) + 5e-3 * SPREAD)
    assert float(made.std()) == pytest.approx(deviation, rel=0.03)
    assert float(made.abs().max()) <= bound
    if math.isfinite(bound):
        assert float(made.abs().max()) > 0.99 * bound


def test_weights_there_are_mean_the_filters_own_or_the_layers() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.stack([torch.full((100,), 1.0), torch.linspace(2, 3, 100), torch.linspace(-4, -2, 100)])
    rows = torch.tensor([2, 0, 1])
    own = new_weights(weight, rows, "min-max", generator, by_filter=True)
    assert (own[1] == 1).all()
    assert own[0].min() >= -4
    assert own[0].max() <= -2
    assert float(own[0].mean()) == pytest.approx(-3, abs=0.3)
    assert float(own[0].std()) == pytest.approx(2 / math.sqrt(12), rel=0.2)
    whole = new_weights(weight, rows, "min-max", generator, by_filter=False)
    assert whole.min() < -3.5
    assert whole.max() > 2.5
    resampled = new_weights(weight, rows, "resampled", generator, by_filter=True)
    assert all(torch.isin(resampled[k], weight[row]).all() for k, row in enumerate(rows.tolist()))
    one = new_weights(weight, rows, "distribution", generator, by_filter=True)
    assert one[0].mean() < -2.5
    assert (one[1] == 1).all()
