"""Weights that a layer computes from others (weight norm, spectral norm, any parametrization, standardised by
hand) are cut through what they are computed from, or refused with a reason."""

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, spectral_norm, weight_norm

from harness.extraction.alterations import reshape, shapes_of
from harness.surgery import Assign, Mask, Remove, Reset, SurgeryError, Widen, apply, trace
from harness.surgery.tracing.computed import copied
from tests.surgery.helpers import (
    change,
    ids,
    images,
    maker_of,
    optimizer_parameters,
    removals,
    silence,
    some_classes,
    train,
    units_of,
)

Norm = Callable[[nn.Module], nn.Module]
_TOLERANCE = 1e-10


def _old_weight_norm(module: nn.Module, dim: int = 0) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return weight_norm(module, dim=dim)


WEIGHT_NORMS: dict[str, Norm] = {
    "parametrized": parametrizations.weight_norm,
    "hooked": _old_weight_norm,
    "one norm": partial(parametrizations.weight_norm, dim=-1),
    "by column": partial(parametrizations.weight_norm, dim=1),
    "hooked by column": partial(_old_weight_norm, dim=1),
}
SPECTRAL_NORMS: dict[str, Norm] = {"parametrized": parametrizations.spectral_norm, "hooked": spectral_norm}


def dense(norm: Norm) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        norm(nn.Linear(48, 12)),
        nn.ReLU(),
        norm(nn.Linear(12, 10)),
        nn.Sigmoid(),
        nn.Linear(10, 9),
        nn.Tanh(),
        norm(nn.Linear(9, 5, bias=False)),
    )


def convolutions(norm: Norm) -> nn.Module:
    return nn.Sequential(
        norm(nn.Conv2d(3, 8, 3)),
        nn.ReLU(),
        norm(nn.Conv2d(8, 10, 3, bias=False)),
        nn.BatchNorm2d(10),
        nn.ReLU(),
        norm(nn.ConvTranspose2d(10, 9, 2)),
        nn.ReLU(),
        nn.Conv2d(9, 8, 1),
        nn.Tanh(),
        nn.Conv2d(8, 8, 3, padding=1, groups=4),
        norm(nn.Conv2d(8, 6, 1)),
        nn.Flatten(),
        norm(nn.Linear(6 * 4, 5)),
    )


def both_modes(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of copies in either mode: power iterations are run, too."""
    with torch.no_grad():
        return copied(network).eval()(x), copied(network).train()(x)


@pytest.mark.parametrize("make", [dense, convolutions])
@pytest.mark.parametrize("kind", WEIGHT_NORMS)
def test_all_units_around_weight_norm_can_go(make: Callable[[Norm], nn.Module], kind: str) -> None:
    torch.manual_seed(0)
    network, x = make(WEIGHT_NORMS[kind]).double(), images(4, 4 if make is dense else 5)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    train(network, optimizer, x, 5)
    names = set(network.state_dict())
    structure = trace(network, x[:2])
    assert structure.refused_share < 0.2, structure.groups
    classes = some_classes(structure, every=3)
    silence(network, structure, classes)
    before = both_modes(network, x)
    receipt = apply(network, optimizer, removals(structure, classes), x[:2])
    assert not receipt.refused
    assert receipt.removed
    assert max(change(before, both_modes(network, x))) <= _TOLERANCE
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    assert set(network.state_dict()) == names
    train(network, optimizer, x, 2)


def test_a_layer_is_listed_by_its_own_path() -> None:
    for kind, norm in WEIGHT_NORMS.items():
        network = nn.Sequential(norm(nn.Linear(4, 8)), nn.ReLU(), norm(nn.Linear(8, 5)))
        structure = trace(network, torch.randn(2, 4))
        assert structure.group("0").removable == 8, kind
        assert structure.readers["0"] == ("2",), kind
        assert network[0].out_features == 8


@pytest.mark.parametrize("kind", WEIGHT_NORMS)
def test_constants_fold_into_weight_normed_layers_and_the_rest_goes_as_if_held_at_zero(kind: str) -> None:
    torch.manual_seed(0)
    network, x = dense(WEIGHT_NORMS[kind]).double(), images(4, 4)
    structure = trace(network, x[:2])
    classes = some_classes(structure, every=3)
    reference, silent = copied(network), copied(network)
    for layer in ("1", "3", "5"):
        reference.get_submodule(layer).register_forward_hook(_at_zero(units_of(structure, layer, classes)))
    wanted = both_modes(reference, x)
    apply(network, None, removals(structure, classes, exact=False), x[:2])
    assert max(change(wanted, both_modes(network, x))) <= _TOLERANCE

    silence(silent, structure, classes)
    with torch.no_grad():
        silent.get_parameter("1.bias").add_(0.3)
    wanted = both_modes(silent, x)
    receipt = apply(silent, None, removals(structure, classes), x[:2])
    assert receipt.folded
    assert max(change(wanted, both_modes(silent, x))) <= _TOLERANCE


def _at_zero(units: Sequence[int]) -> Callable[..., Tensor]:
    def hook(module: nn.Module, inputs: object, out: Tensor) -> Tensor:
        held = torch.ones(out.shape[1], dtype=out.dtype)
        held[list(units)] = 0
        return out * held

    return hook


@pytest.mark.parametrize("kind", SPECTRAL_NORMS)
def test_units_under_spectral_norm_go_where_all_that_it_counts_of_them_is_zero(
    kind: str,
) -> None:
    norm = SPECTRAL_NORMS[kind]
    torch.manual_seed(0)
    network = nn.Sequential(
        norm(nn.Conv2d(3, 8, 3)),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3),
        nn.ReLU(),
        norm(nn.ConvTranspose2d(6, 7, 2)),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(7 * 4, 9),
        norm(nn.Linear(9, 8)),
        nn.Linear(8, 5),
    ).double()
    x = images(4, 5)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    train(network, optimizer, x, 3)
    structure = trace(network, x[:2])
    free = [group.layers[0] for group in structure.groups if group.refused is None]
    assert free == ["0", "2", "4", "7", "8"]
    varying = apply(copied(network), None, [Remove("0", (1,), exact=True)], x[:2])
    assert varying.refused == {"0": "still varies"}
    silent = copied(network)
    with torch.no_grad():
        silent.get_parameter("2.weight")[1], silent.get_parameter("2.bias")[1] = 0, 0
    read = apply(silent, None, [Remove("2", (1,), exact=True)], x[:2]).refused
    assert "spectral norm goes by all that the layer reads" in str(read)
    with torch.no_grad():
        maker_of(silent.get_submodule("4"), 0)[1] = 0
    known = both_modes(silent, x)
    assert apply(silent, None, [Remove("2", (1,), exact=True)], x[:2]).removed == {"2": 1}
    assert max(change(known, both_modes(silent, x))) <= _TOLERANCE
    classes = some_classes(structure, every=2)
    silent = copied(network)
    silence(silent, structure, classes)
    with torch.no_grad():
        for maker, reader, axis in (("2", "4", 0), ("7", "8", 1)):
            units = list(units_of(structure, maker, classes))
            maker_of(silent.get_submodule(reader), 0).movedim(axis, 0)[units] = 0
    wanted = both_modes(silent, x)
    receipt = apply(network, optimizer, removals(structure, classes, exact=False), x[:2])
    assert receipt.removed == {"0": 4, "2": 3, "4": 4, "7": 5, "8": 4}
    assert max(change(wanted, both_modes(network, x))) <= _TOLERANCE
    train(network, optimizer, x, 2)


def test_a_unit_that_is_cut_off_elsewhere_stays_while_spectral_norm_counts_its_row() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 3)
    ).double()
    x = torch.randn(4, 4, dtype=torch.float64)
    with torch.no_grad():
        network.get_parameter("2.weight")[:, 2] = 0  # nobody listens to the unit
    structure = trace(network, x)
    assert structure.group("0").removable == 6
    assert apply(network, None, [Remove("0", (2,), exact=True)], x).refused == {"0": "still varies"}


class Standardised(nn.Conv2d):
    """Weight standardisation as papers write it."""

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        centred = weight - weight.mean(dim=(1, 2, 3), keepdim=True)
        spread = centred.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        return nn.functional.conv2d(x, centred / torch.sqrt(spread + 1e-6), self.bias)


class ScaledStandardised(nn.Conv2d):
    """The same by batch normalisation, with a gain (as NFNets do)."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__(inputs, outputs, size)
        self.gain = nn.Parameter(torch.rand(self.out_channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        scale = (self.gain * 0.3).view(-1)
        made = nn.functional.batch_norm(flat, None, None, scale, training=True, momentum=0.0, eps=1e-6)
        return nn.functional.conv2d(x, made.reshape_as(self.weight), self.bias)


@pytest.mark.parametrize("kind", [Standardised, ScaledStandardised])
def test_standardised_weights_lose_outputs_but_keep_their_inputs(kind: type[nn.Conv2d]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        kind(3, 9, 3), nn.ReLU(), nn.Conv2d(9, 6, 3), nn.ReLU(), kind(6, 8, 1), nn.ReLU(), nn.Conv2d(8, 5, 1)
    ).double()
    x = images(3, 7)
    structure = trace(network, x)
    assert [group.layers[0] for group in structure.groups if group.refused is None] == ["0", "4"]
    classes = some_classes(structure, every=3)
    silence(network, structure, classes)
    before = both_modes(network, x)
    receipt = apply(network, None, removals(structure, classes), x)
    assert receipt.removed == {"0": 3, "4": 3}
    assert max(change(before, both_modes(network, x))) <= _TOLERANCE


class Bounded(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return torch.tanh(weight)


def test_parametrizations_entry_by_entry_are_cut_and_all_others_refused_by_name() -> None:
    torch.manual_seed(0)
    bounded = nn.Linear(6, 8)
    orthogonal = parametrizations.orthogonal(nn.Linear(8, 8), use_trivialization=False)
    parametrize.register_parametrization(bounded, "weight", Bounded())
    network = nn.Sequential(bounded, nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 8), orthogonal)
    network, x = network.append(nn.Linear(8, 3)).double(), torch.randn(3, 6, dtype=torch.float64)
    structure = trace(network, x)
    assert [group.layers for group in structure.groups if group.refused is None] == [("0",), ("2",)]
    assert structure.group("5").removable == 0
    classes = some_classes(structure, every=3)
    silence(network, structure, classes)
    before = both_modes(network, x)
    assert apply(network, None, removals(structure, classes), x).removed == {"0": 3, "2": 3}
    assert max(change(before, both_modes(network, x))) <= _TOLERANCE


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_training_goes_on_as_if_the_entries_were_held_at_zero(kind: str) -> None:
    torch.manual_seed(0)
    network, x = dense(parametrizations.weight_norm).double(), images(6, 4)
    network.register_module("4", nn.Tanh())  # a constant other than zero would train what reads it
    optimizer = _optimizer(kind, network)
    train(network, optimizer, x, 3)
    structure = trace(network, x[:2])
    classes = some_classes(structure, every=3)
    silence(network, structure, classes)
    reference = copy.deepcopy(network)
    twin = _optimizer(kind, reference)
    twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    apply(network, optimizer, removals(structure, classes), x[:2])
    held = _held_entries(reference, structure.classes, classes)
    for weight, free in held.items():
        memory = twin.state[weight]
        for name, value in memory.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                memory[name] = value * free
    for _ in range(5):
        train(network, optimizer, x, 1)
        train(reference, twin, x, 1)
        with torch.no_grad():
            for weight, free in held.items():
                weight.mul_(free)
        assert max(change(both_modes(reference, x), both_modes(network, x))) <= 1e-6


def _optimizer(kind: str, network: nn.Module) -> torch.optim.Optimizer:
    if kind == "adam":
        return torch.optim.Adam(network.parameters(), 1e-3)
    return torch.optim.SGD(network.parameters(), 1e-2, momentum=0.9)


@torch.no_grad()
def _held_entries(network: nn.Module, classes: object, gone: set[int]) -> dict[nn.Parameter, Tensor]:
    """Hold rows of what went, and columns that read it with the norms mended by hand; factors 0 or 1."""
    assert isinstance(classes, dict)
    held: dict[nn.Parameter, Tensor] = {}
    inside = "parametrizations.weight"
    for maker, reader in (("1", "3"), ("3", "5"), ("5", "7")):
        lost = [unit for unit, name in enumerate(classes[maker]) if name in gone]
        made, read = network.get_submodule(maker), network.get_submodule(reader)
        own = dict(made.named_parameters())
        rows = f"{inside}.original0" if maker != "5" else "weight"
        for name in (rows, "bias"):
            held[own[name]] = torch.ones_like(own[name])
            held[own[name]][lost] = 0
        if reader == "5":
            continue
        g, v = read.get_parameter(f"{inside}.original0"), read.get_parameter(f"{inside}.original1")
        before = v.norm(dim=1, keepdim=True)
        held[v] = torch.ones_like(v)
        held[v][:, lost] = 0
        v.mul_(held[v])
        g.mul_(v.norm(dim=1, keepdim=True) / before)
    return held


def test_what_would_be_wrong_is_refused_in_a_sentence() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64)
    network = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 6)),
        nn.ReLU(),
        parametrizations.weight_norm(nn.Linear(6, 3)),
    ).double()
    new, v = torch.zeros(1, 4, dtype=torch.float64), "2.parametrizations.weight.original1"
    with pytest.raises(SurgeryError, match="computed from others"):
        apply(network, None, [Reset("0", (1,), new)], x)
    with pytest.raises(SurgeryError, match="computes its weight from others"):
        apply(network, None, [Widen("0", new, torch.zeros(1), {})], x)
    before_it = nn.Sequential(nn.Linear(4, 4), network[0]).double()
    with pytest.raises(SurgeryError, match="'1' computes its weight from others"):
        apply(before_it, None, [Widen("0", new, torch.zeros(1), {})], x)
    with torch.no_grad():
        network.get_parameter(v)[1, 1:] = 0
    before = both_modes(network, x)
    with pytest.raises(SurgeryError, match="no norm to divide by"):
        apply(network, None, [Remove("0", (0,))], x)
    assert max(change(before, both_modes(network, x))) == 0
    keep = torch.ones(3, 6, dtype=torch.bool)
    keep[0, 1] = False
    apply(network, None, [Mask(v, keep), Assign(v, torch.ones(1), torch.tensor([3]))], x)
    apply(network, None, [Remove("0", (1, 2))], x)
    assert network.get_buffer(f"{v}_mask").shape == (3, 4)


@pytest.mark.parametrize("kind", [*WEIGHT_NORMS, "spectral", "spectral hooked"])
def test_what_is_left_can_be_copied_and_built_again(kind: str) -> None:
    spectral = SPECTRAL_NORMS["hooked" if "hooked" in kind else "parametrized"]
    norm = WEIGHT_NORMS.get(kind, spectral)

    def build() -> nn.Module:
        return nn.Sequential(norm(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 3))

    torch.manual_seed(0)
    network, x = build().eval(), torch.randn(3, 4)
    network(x).sum().backward()
    layer: Any = network.get_submodule("0")
    weight = layer.weight.detach().clone()
    trace(network, x)
    assert torch.equal(layer.weight, weight)
    apply(network, None, [Remove("0", (1, 4))], x)
    assert layer.weight.shape == (4, 4)
    network(x).sum().backward()
    built = build()
    shapes = shapes_of(network, built)
    reshape(built, shapes)
    assert built.get_submodule("0").out_features == 4
    built.load_state_dict(network.state_dict())
    wanted = copied(network).eval()(x)
    assert torch.equal(built.eval()(x), wanted)


class Tied(nn.Module):
    """What a normed weight makes of its input it turns back by the same weight."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.inside, self.head = norm(nn.Linear(6, 8)), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        layer: Any = self.inside
        made: Tensor = self.head(nn.functional.linear(torch.relu(layer(x)), layer.weight.t()))
        return made


@pytest.mark.parametrize("kind", WEIGHT_NORMS)
def test_a_normed_weight_that_is_used_both_ways_loses_what_it_makes_between(kind: str) -> None:
    torch.manual_seed(0)
    network, x = Tied(WEIGHT_NORMS[kind]).double(), torch.randn(3, 6, dtype=torch.float64)
    structure = trace(network, x)
    assert structure.group("inside").removable == 8
    classes = some_classes(structure, every=3)
    silence(network, structure, classes)
    before = both_modes(network, x)
    assert apply(network, None, removals(structure, classes), x).removed == {"inside": 3}
    assert max(change(before, both_modes(network, x))) <= _TOLERANCE
