"""Gates act for all that compute with a layer, and go on whatever they can be folded into."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune

from harness.sizing.gates.rules import Debounced
from harness.sizing.gates.units import attach_gates, dead_units, fold_gates, gates, places_for_gates
from harness.surgery import Remove, apply, trace
from tests.surgery.helpers import images, measure, train
from tests.surgery.networks import NETWORKS

_EXACT = 1e-10
_PADDED = torch.tensor([[False] * 6, [False] * 4 + [True] * 2, [False] * 5 + [True]])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def _every_way(network: nn.Module, run: Callable[[nn.Module], Tensor]) -> list[Tensor]:
    """What a network gives while it is trained, and when it is scored with, without and beyond gradients."""
    made = []
    for training in (True, False):
        network.train(training)
        made.append(run(network).detach())
        with torch.no_grad():
            made.append(run(network))
        with torch.inference_mode():
            made.append(run(network).clone())
    return made


def _apart(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(one, other, strict=True))


def _times(factor: Tensor) -> Callable[[nn.Module, object, Tensor], Tensor]:
    return lambda module, given, made: made * factor


def _some(network: nn.Module, layer: str) -> Tensor:
    """Gates of either sign for a layer's units."""
    module: Any = network.get_submodule(layer)
    count = next(
        getattr(module, n) for n in ("num_heads", "out_channels", "out_features") if hasattr(module, n)
    )
    return torch.randn(count, dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_gates_act_inside_an_encoder_that_reads_weights_itself(norm_first: bool, padded: bool) -> None:
    """Without gradients PyTorch's encoders read the weights of their layers, and do not run the layers."""
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, norm_first=norm_first)
    network = nn.TransformerEncoder(layer, 2, enable_nested_tensor=not norm_first).double()
    x, wanted = torch.randn(3, 6, 8).double(), copy.deepcopy(network)
    places = [f"layers.{block}.{name}" for block in (0, 1) for name in ("linear1", "self_attn")]
    attach_gates(network, places, {place: _some(network, place) for place in places}, Debounced())
    wanted.use_nested_tensor = False
    for place, gate in gates(network).items():
        module: Any = wanted.get_submodule(place)
        if isinstance(module, nn.MultiheadAttention):
            # The heads' outputs lie beside each other in front of the last projection.
            with torch.no_grad():
                module.out_proj.weight.mul_(gate.repeat_interleave(4))
        else:
            module.register_forward_hook(_times(gate.detach()))
    real = ~_PADDED.unsqueeze(2) if padded else torch.ones(3, 6, 1, dtype=torch.bool)

    def run(encoder: nn.Module) -> Tensor:
        made: Tensor = encoder(x, src_key_padding_mask=_PADDED) if padded else encoder(x)
        return made * real

    expected = _every_way(wanted, run)
    assert _apart(expected, _every_way(network, run)) <= _EXACT
    dead = dict.fromkeys(places, (0,))
    with torch.no_grad():
        for gate in gates(network).values():
            gate[0] = 0
    expected = _every_way(network, run)
    folded = copy.deepcopy(network)
    fold_gates(folded)
    assert [type(module) for module in folded.modules()] == [type(module) for module in wanted.modules()]
    assert _apart(expected, _every_way(folded, run)) <= _EXACT
    receipt = apply(network, None, [Remove(place, units, exact=True) for place, units in dead.items()], x)
    assert receipt.removed == dict.fromkeys(places, 1)
    assert _apart(expected, _every_way(network, run)) <= _EXACT
    fold_gates(network)
    assert _apart(expected, _every_way(network, run)) <= _EXACT


class _TiedAutoencoder(nn.Module):
    """Reads the weight of a layer that it calls, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.shift = nn.Linear(6, 5), nn.Parameter(torch.rand(6))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.layer(x).relu(), self.layer.weight.t(), self.shift)


class _Reads(nn.Module):
    """Never calls a layer, and computes with what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.linear(x, self.layer.weight, self.layer.bias).relu()
        return functional.linear(hidden, self.last.weight, self.last.bias)


class _Twice(nn.Module):
    """Runs a layer twice, holds it under two names, and in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.again, self.held, self.last = self.layer, [self.layer], nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.last(self.held[0](self.again(self.layer(x).relu()).relu()).relu())
        return made


@pytest.mark.parametrize("build", [_TiedAutoencoder, _Reads, _Twice])
def test_a_gated_weight_is_the_multiplied_one_for_all_that_compute_with_it(build: type[nn.Module]) -> None:
    network, x = build().double(), torch.randn(4, 6).double()
    plain = _every_way(network, lambda own: own(x))
    attach_gates(network, ["layer"], {"layer": _some(network, "layer")}, Debounced())
    gated = _every_way(network, lambda own: own(x))
    assert _apart(plain, gated) > 1e-3
    network(x).sum().backward()
    grad = gates(network)["layer"].grad
    assert grad is not None
    assert grad.any()
    # Whoever does not compute gets the parameter itself.
    assert network.get_parameter("layer.weight") is dict(network.named_parameters())["layer.weight"]
    fold_gates(network)
    assert type(network.get_submodule("layer")) is nn.Linear
    assert _apart(gated, _every_way(network, lambda own: own(x))) <= _EXACT


def _tied_head() -> nn.Module:
    network = nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 5), nn.Linear(5, 7, bias=False))
    network.get_submodule("2").weight = network.get_parameter("0.weight")
    return network


def _tied_layers() -> nn.Module:
    network = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5))
    network.get_submodule("2").weight = network.get_parameter("0.weight")
    return network


def _kept_beside() -> nn.Module:
    network = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5))
    network.columns = [network.get_parameter("2.weight").detach().t()]  # type: ignore[assignment]
    return network


@pytest.mark.parametrize(
    ("build", "other"),
    [(_tied_head, "'0.weight'"), (_tied_layers, "'0.weight'"), (_kept_beside, "'columns'")],
)
def test_a_weight_that_is_held_elsewhere_too_is_refused_by_both_names(
    build: Callable[[], nn.Module], other: str
) -> None:
    network = build()
    with pytest.raises(ValueError, match=rf"^The layer '2' shares its 'weight' with {other}: [^\n]*\.$"):
        attach_gates(network, ["1", "2"])
    assert not gates(network)


def test_weights_cut_out_of_one_block_of_memory_are_not_tied() -> None:
    network = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    flat = nn.utils.parameters_to_vector(network.parameters()).detach()
    nn.utils.vector_to_parameters(flat, network.parameters())
    attach_gates(network, ["0", "1"])
    assert list(gates(network)) == ["0", "1"]


class _Shifted(nn.Linear):
    """Adds to what a linear layer makes."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 0.5


class _SamePadding(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(input, (1, 1, 1, 1)), self.weight, self.bias)


class _Standardised(nn.Conv2d):
    """Its weight has mean 0 and variance 1, whatever multiplies it; its gain has the say, if it has one."""

    def __init__(self, *args: Any, gain: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.rand(self.out_channels, 1, 1, 1)) if gain else None

    def forward(self, input: Tensor) -> Tensor:
        flat = self.weight.flatten(1)
        weight = functional.layer_norm(flat, flat.shape[1:]).view_as(self.weight)
        gain = self.gain
        made: Tensor = self._conv_forward(input, weight if gain is None else weight * gain, self.bias)
        return made


class _NormAct(nn.BatchNorm2d):
    """An activation within the normalisation, as timm has it."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).sigmoid()


class _FrozenNorm(nn.Module):
    """A normalisation that is not trained, as detection has it."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.rand(channels) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class _OwnNames(nn.Module):
    """A normalisation of somebody's own."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(channels)), nn.Parameter(torch.rand(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.gamma, self.beta, self.training
        )


_SPECTRAL_NORM = nn.utils.parametrizations.spectral_norm
_WEIGHT_NORM = nn.utils.parametrizations.weight_norm
#: Name -> a layer [batch, 4, 6, 6] to [batch, 8, ...], whose gate multiplies what it makes.
_MAKERS: dict[str, Callable[[], nn.Module]] = {
    "same padding": lambda: _SamePadding(4, 8, 3),
    "weights standardised behind a gain": lambda: _Standardised(4, 8, 3, gain=True),
    "weight norm": lambda: _WEIGHT_NORM(nn.Conv2d(4, 8, 3)),
    "weight norm by hooks": lambda: nn.utils.weight_norm(nn.Conv2d(4, 8, 3)),
    "pruned": lambda: prune.l1_unstructured(nn.Conv2d(4, 8, 3), "weight", 0.5),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 8, 3),
    "transposed in groups": lambda: nn.ConvTranspose2d(4, 8, 3, groups=2, bias=False),
    "depthwise transposed": lambda: nn.ConvTranspose2d(4, 8, 3, groups=4),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", _MAKERS)
def test_a_gate_on_whatever_makes_units_multiplies_them(name: str) -> None:
    layer = _MAKERS[name]()
    kind = type(layer)
    network = nn.Sequential(layer, nn.Sigmoid(), nn.Conv2d(8, 2, 1)).double()
    x, plain = torch.randn(3, 4, 6, 6).double(), nn.Sequential(_MAKERS[name](), *list(network)[1:]).double()
    plain.load_state_dict(network.state_dict())
    gate = torch.randn(8).double()
    attach_gates(network, ["0"], {"0": gate}, Debounced())
    plain.get_submodule("0").register_forward_hook(_times(gate.view(-1, 1, 1)))
    wanted = _every_way(plain, lambda own: own(x))
    assert _apart(wanted, _every_way(network, lambda own: own(x))) <= _EXACT
    again = network if "by hooks" in name else copy.deepcopy(network)
    assert _apart(wanted, _every_way(again, lambda own: own(x))) <= _EXACT
    fold_gates(again)
    assert type(again.get_submodule("0")) is kind
    assert again.state_dict().keys() == plain.state_dict().keys()
    assert _apart(wanted, _every_way(again, lambda own: own(x))) <= _EXACT


@pytest.mark.parametrize("build", [_NormAct, _FrozenNorm, _OwnNames])
def test_a_gate_on_a_normalisation_of_any_class_is_in_front_of_its_activation(build: Any) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), build(8), nn.Conv2d(8, 2, 1)).double()
    x = torch.randn(4, 3, 6, 6).double()
    train(network, torch.optim.SGD(network.parameters(), 1e-2), x, 2)
    [place] = places_for_gates(["0"], trace(network, x).norms)
    assert place == "1"
    attach_gates(network, [place], {place: torch.tensor([1.0, 0, 0.5, 1, -2, 1, 0, 1])}, Debounced())
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    train(network, optimizer, x, 2)
    with torch.no_grad():
        gates(network)[place][[1, 6]] = 0
    before = measure(network, x)
    receipt = apply(network, optimizer, [Remove(place, dead_units(network)[place], exact=True)], x)
    assert receipt.removed == {"0": 2}
    assert _apart(list(before), list(measure(network, x))) <= _EXACT
    fold_gates(network)
    assert type(network.get_submodule(place)) is build
    assert _apart(list(before), list(measure(network, x))) <= _EXACT


class _Cosine(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, functional.normalize(self.weight, dim=1))


class _Adapted(nn.Linear):
    """A second way from input to output."""

    def __init__(self) -> None:
        super().__init__(4, 8)
        self.other = nn.Linear(4, 8)

    def forward(self, input: Tensor) -> Tensor:
        made: Tensor = super().forward(input) + self.other(input)
        return made


class _NamedFactor(nn.Linear):
    factor = 0.5

    def forward(self, input: Tensor) -> Tensor:
        return self.factor * super().forward(input)


def _exchanged() -> nn.Module:
    layer = nn.Linear(4, 8)
    layer.forward = partial(functional.linear, weight=layer.weight)  # type: ignore[method-assign]
    return layer


class _Dense(nn.Module):
    """Somebody's own linear layer: its units lie along the second axis of its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(6, 6)), nn.Parameter(torch.rand(6))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


class _ScaledWords(nn.Embedding):
    def forward(self, input: Tensor) -> Tensor:
        return 2.0 * super().forward(input)


@pytest.mark.parametrize(
    ("build", "is_words"),
    [
        (_Dense, False),
        (partial(nn.Embedding, 9, 6), True),
        (partial(_ScaledWords, 9, 6), True),
        (partial(nn.EmbeddingBag, 9, 6), True),
    ],
)
def test_gates_go_on_columns_where_these_are_the_units(
    build: Callable[[], nn.Module], is_words: bool
) -> None:
    network = nn.Sequential(build(), nn.ReLU(), nn.Linear(6, 2)).double()
    x = torch.randint(0, 9, (4, 3)) if is_words else torch.randn(4, 6).double()
    plain, gate = copy.deepcopy(network), torch.rand(6).double()
    gate[2] = 0
    attach_gates(network, ["0"], {"0": gate})
    plain.get_submodule("0").register_forward_hook(_times(gate))
    wanted = _every_way(plain, lambda own: own(x))
    assert _apart(wanted, _every_way(copy.deepcopy(network), lambda own: own(x))) <= _EXACT
    assert apply(network, None, [Remove("0", (2,), exact=True)], x).removed == {"0": 1}
    assert _apart(wanted, _every_way(network, lambda own: own(x))) <= _EXACT
    fold_gates(network)
    assert type(network.get_submodule("0")) is type(plain.get_submodule("0"))
    assert _apart(wanted, _every_way(network, lambda own: own(x))) <= _EXACT


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (partial(_Standardised, 4, 8, 3, gain=False), "a _Standardised, and no factor on its weight or bias"),
        (
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 8)),
            "ParametrizedLinear, and no factor",
        ),
        (partial(_Cosine, 4, 8), "a _Cosine, and no factor"),
        (_Adapted, "a _Adapted, and no factor"),
        (partial(_NamedFactor, 4, 8), "a _NamedFactor that has an attribute 'factor' of its own"),
        (partial(nn.LazyLinear, 8), "a LazyLinear that has not met its input yet"),
        (_exchanged, "a Linear whose forward has been exchanged"),
        (partial(nn.LayerNorm, 4), "a LayerNorm; gates go on BatchNorm1d"),
    ],
)
def test_what_gates_could_not_act_on_is_refused_in_a_sentence(
    build: Callable[[], nn.Module], words: str
) -> None:
    network = nn.Sequential(nn.Linear(4, 4), build())
    with pytest.raises(ValueError, match=r"^The layer '1' is [^\n]*\.$") as error:
        attach_gates(network, ["0", "1"])
    assert words in str(error.value)
    assert not gates(network)


@pytest.mark.parametrize(
    "name",
    ["mlp", "lenet5", "densenet", "squeezenet", "convnext", "vit", "unet"],
)
def test_every_layer_that_may_lose_units_takes_gates_trains_and_folds(name: str) -> None:
    make, side = NETWORKS[name]
    network, x = make().double(), images(3, side)
    structure = trace(network, x[:2])
    free = [layer for layer in structure.units if structure.group(layer).removable]
    places = dict.fromkeys(places_for_gates(free, structure.norms))
    attach_gates(network, places)
    train(network, torch.optim.Adam(network.parameters(), 1e-3), x, 2)
    assert list(gates(network)) == [place for place in gates(network) if place in places]
    assert len(gates(network)) == len(places)
    assert all(gate.grad is not None and gate.grad.any() for gate in gates(network).values())
    before = measure(network, x)
    fold_gates(network)
    assert [type(module) for module in network.modules()] == [type(module) for module in make().modules()]
    assert _apart(list(before), list(measure(network, x))) <= _EXACT


@pytest.mark.parametrize(
    "name", ["tf_mobilenetv3_small_075", "repvgg_a0", "nf_regnet_b0", "resnetv2_50", "ghostnet_100"]
)
def test_gates_go_on_the_layers_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    network, x = timm.create_model(name, num_classes=5).double(), images(2, 64)
    structure = trace(network, x)
    free = [layer for layer in structure.units if structure.group(layer).removable]
    attach_gates(network, dict.fromkeys(places_for_gates(free, structure.norms)))
    before = measure(network, x)
    fold_gates(network)
    assert _apart(list(before), list(measure(network, x))) <= _EXACT


class _TwoKinds(nn.Module):
    """The decoder reads the encoder's weights, turned: the inner one makes units along both axes."""

    def __init__(self, *, turned_convolution: bool = False) -> None:
        super().__init__()
        self.convolves = turned_convolution
        kind: Any = partial(nn.Conv2d, kernel_size=3) if turned_convolution else nn.Linear
        self.outer, self.inner = kind(4, 7), kind(7, 3)
        self.shift = nn.Parameter(torch.rand(7, 1, 1) if turned_convolution else torch.rand(7))

    def forward(self, x: Tensor) -> Tensor:
        code = self.inner(self.outer(x).relu()).tanh()
        if self.convolves:
            hidden = (functional.conv_transpose2d(code, self.inner.weight) + self.shift).relu()
            return functional.conv_transpose2d(hidden, self.outer.weight)
        hidden = functional.linear(code, self.inner.weight.t(), self.shift).relu()
        return functional.linear(hidden, self.outer.weight.t())


@pytest.mark.parametrize("turned_convolution", [False, True])
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_layer_that_makes_two_kinds_of_units_takes_gates_of_both(
    turned_convolution: bool, order: slice
) -> None:
    network = _TwoKinds(turned_convolution=turned_convolution).double()
    x = images(3, 8)[:, :1].repeat(1, 4, 1, 1) * 0.3 if turned_convolution else torch.randn(5, 4).double()
    structure = trace(network, x)
    free = [layer for layer in structure.units if structure.group(layer).removable]
    assert sorted(free) == ["inner", "inner.weight", "outer"]
    places = places_for_gates(free, structure.norms)[order]
    for place in places:
        attach_gates(network, [place], 1.0)
    assert {place: len(gate) for place, gate in gates(network).items()} == {
        place: structure.units[place] for place in places
    }
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    train(network, optimizer, x, 2)
    with torch.no_grad():
        for gate in gates(network).values():
            gate[1] = -0.5
    network.get_parameter("shift").data[1] = 0
    before = measure(network, x)
    again = copy.deepcopy(network)
    fold_gates(again)
    assert type(again.get_submodule("inner")) is type(_TwoKinds(turned_convolution=turned_convolution).inner)
    assert _apart(list(before), list(measure(again, x))) <= _EXACT
    edits = [Remove(place, units, exact=True) for place, units in dead_units(network).items()]
    receipt = apply(network, optimizer, edits, x)
    assert receipt.removed == dict.fromkeys(["outer", "inner", "inner.weight"], 1)
    assert _apart(list(before), list(measure(network, x))) <= _EXACT
    train(network, optimizer, x, 1)


class _ReadsAndRuns(nn.Module):
    """Runs a layer with other tensors than its own, which were made of these."""

    def __init__(self, made_of: str) -> None:
        super().__init__()
        self.layer, self.made_of = nn.Linear(4, 6), made_of

    def forward(self, x: Tensor) -> Tensor:
        layer, made = self.layer, x
        match self.made_of:
            case "attribute":
                made = torch.func.functional_call(layer, {"weight": layer.weight * 0.5}, (x,))
            case "all":
                halves = {name: own * 0.5 for name, own in layer.named_parameters()}
                made = torch.func.functional_call(layer, halves, (x,))
            case "each example":
                made = torch.vmap(
                    lambda own: torch.func.functional_call(layer, {"weight": layer.weight.tanh()}, (own,))
                )(x)
            case "parameters":
                made = functional.linear(x, next(layer.parameters()))
            case "state":
                made = functional.linear(x, layer.state_dict()["weight"])
            case _:
                with torch.no_grad():
                    layer.weight.clamp_(-0.1, 0.1)
                made = layer(x)
        return made


@pytest.mark.parametrize("made_of", ["attribute", "all", "each example"])
def test_a_layer_that_is_run_with_what_was_made_of_its_weight_is_refused(made_of: str) -> None:
    """Its gates may be in that already: they would be squared."""
    network, x = nn.Sequential(_ReadsAndRuns(made_of)), torch.randn(5, 4)
    attach_gates(network, ["0.layer"])
    with pytest.raises(RuntimeError, match=r"^A gated Linear is run by functional_call within [^\n]*\.$"):
        network(x)
    fold_gates(network)
    network(x)


@pytest.mark.parametrize("made_of", ["parameters", "state", "clipped"])
def test_where_parameters_are_reached_by_other_ways_an_example_tells(made_of: str) -> None:
    network, x = nn.Sequential(_ReadsAndRuns(made_of)), torch.randn(5, 4)
    with pytest.raises(ValueError, match=r"^Folding gates would change the outputs in [^\n]*\.$"):
        attach_gates(network, ["0.layer"], example=x)
    assert not gates(network)
    plain = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    attach_gates(plain, ["0", "1"], example=x)
    assert list(gates(plain)) == ["0", "1"]


def test_outside_of_all_forward_passes_tensors_are_exchanged_as_ever() -> None:
    network, x = nn.Sequential(_TiedAutoencoder()).double(), torch.randn(4, 6).double()
    attach_gates(network, ["0.layer"], {"0.layer": _some(network, "0.layer")}, Debounced())
    layer, folded = network.get_submodule("0.layer"), copy.deepcopy(network)
    fold_gates(folded)
    made = []
    for own in (layer, folded.get_submodule("0.layer")):
        weight = own.get_parameter("weight")
        made.append(torch.func.functional_call(own, {"weight": weight * 0.5}, (x,)).detach())
    assert _apart(made[:1], made[1:]) <= _EXACT
    halves = {name: own * 0.5 for name, own in network.named_parameters() if not name.endswith("gate")}
    wanted = {name: own * 0.5 for name, own in folded.named_parameters()}
    given = [
        torch.func.functional_call(own, {**own.state_dict(), **new}, (x,)).detach()
        for own, new in ((network, halves), (folded, wanted))
    ]
    assert _apart(given[:1], given[1:]) <= _EXACT
