"""What lives and dies together, and what may not be removed."""

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Remove, Structure, SurgeryError, apply, trace
from tests.surgery.helpers import change, images, measure, parameters
from tests.surgery.networks import NETWORKS, lenet, resnext, vit


def _structure(name: str) -> tuple[nn.Module, Structure]:
    make, side = NETWORKS[name]
    network = make()
    return network, trace(network, images(2, side, torch.float32))


def test_a_chain_couples_nothing_but_reader_and_read() -> None:
    structure = trace(lenet(), images(2, 32, torch.float32))
    assert [group.layers for group in structure.groups] == [("0",), ("3",), ("7",), ("9",)]
    assert structure.units == {"0": 8, "3": 12, "7": 40, "9": 5}
    assert structure.readers == {"0": ("3",), "3": ("7",), "7": ("9",), "9": ()}
    assert structure.group("9").refused == "belongs to the network's output"
    assert structure.parameters == parameters(lenet())
    # What no unit that may go holds: the output's biases.
    assert structure.reachable == structure.parameters - 5


def test_a_residual_sum_couples_all_that_it_adds() -> None:
    _, structure = _structure("resnet18")
    assert structure.group("conv1").layers == ("conv1", "layer1.0.conv2", "layer1.1.conv2")
    assert set(structure.group("layer2.0.conv2").layers) == {
        "layer2.0.conv2",
        "layer2.0.downsample.0",
        "layer2.1.conv2",
    }
    assert structure.group("layer1.0.conv1").layers == ("layer1.0.conv1",)
    assert structure.norms["layer1.0.conv1"] == "layer1.0.bn1"
    assert structure.classes["layer1.0.bn2"] == structure.classes["conv1"]


def test_a_concatenation_couples_no_two_of_its_parts() -> None:
    _, structure = _structure("squeezenet")
    assert structure.group("features.3.expand1x1").layers == ("features.3.expand1x1",)
    assert structure.readers["features.3.expand1x1"] == ("features.4.squeeze",)


def test_a_depthwise_convolution_goes_with_the_channels_it_reads() -> None:
    _, structure = _structure("mobilenet_v2")
    assert structure.group("features.2.conv.0.0").layers == ("features.2.conv.0.0", "features.2.conv.1.0")


def test_a_grouped_convolution_loses_whole_groups() -> None:
    network, x = resnext().double(), images(2, 32)
    structure = trace(network, x)
    group = structure.group("layer1.0.conv1")
    assert group.layers == ("layer1.0.conv1", "layer1.0.conv2")
    assert (structure.units["layer1.0.conv1"], group.classes) == (128, 32)
    receipt = apply(network, None, [Remove("layer1.0.conv1", (5,))], x)
    assert receipt.removed == {"layer1.0.conv1": 4, "layer1.0.conv2": 4}
    convolution = network.get_submodule("layer1.0.conv2")
    assert isinstance(convolution, nn.Conv2d)
    assert (convolution.groups, convolution.in_channels, convolution.out_channels) == (31, 124, 124)


def test_attention_loses_whole_heads() -> None:
    network, x = vit().double(), images(2, 32)
    nn.init.normal_(network.get_parameter("heads.head.weight"))
    path = "encoder.layers.encoder_layer_1.self_attention"
    structure = trace(network, x)
    assert structure.units[path] == 4
    with torch.no_grad():
        rows = [part * 64 + 16 + place for part in range(3) for place in range(16)]
        network.get_parameter(f"{path}.in_proj_weight")[rows] = 0
        network.get_parameter(f"{path}.in_proj_bias")[rows] = 0
    before = measure(network, x)
    assert apply(network, None, [Remove(path, (1,), exact=True)], x).removed == {path: 1}
    assert network.get_parameter(f"{path}.in_proj_weight").shape == (144, 64)
    assert network.get_parameter(f"{path}.out_proj.weight").shape == (64, 48)
    assert max(change(before, measure(network, x))) <= 1e-10
    assert apply(network, None, [Remove(path, (0,))], x).removed == {path: 1}


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_lighter_attention_is_attention(need_weights: bool, batch_first: bool, masked: bool) -> None:
    from harness.surgery.changes.heads import HeadAttention

    attention = nn.MultiheadAttention(12, 3, batch_first=batch_first).double().eval()
    x, memory = torch.randn(4, 4, 12).double(), torch.randn(4, 4, 12).double()
    padding = torch.zeros(4, 4, dtype=torch.bool)
    padding[1, 2:] = True
    masks = {"key_padding_mask": padding, "attn_mask": torch.ones(4, 4).triu(1).bool()} if masked else {}
    lighter = HeadAttention.of(attention)
    for given in ((x, x, x), (x, memory, memory)):
        expected, weights = attention(*given, need_weights=need_weights, **masks)
        found, own = lighter(*given, need_weights=need_weights, **masks)
        assert torch.allclose(expected, found, atol=1e-12)
        assert (weights is None) == (own is None)
        if weights is not None and own is not None:
            assert torch.allclose(weights, own, atol=1e-12)


def test_an_encoder_layer_does_not_take_its_short_cut_around_lighter_attention() -> None:
    layer = nn.TransformerEncoderLayer(12, 3, 24, dropout=0.0, batch_first=True).double().eval()
    network = nn.Sequential(layer, nn.Linear(12, 2).double())
    x = torch.randn(4, 5, 12).double()
    with torch.no_grad():
        rows = [part * 12 + place for part in range(3) for place in range(4)]
        layer.self_attn.in_proj_weight[rows] = 0
        layer.self_attn.in_proj_bias[rows] = 0
        before = network(x)
        apply(network, None, [Remove("0.self_attn", (0,), exact=True)], x)
        assert torch.allclose(network(x), before, atol=1e-12)
    assert layer.self_attn.num_heads == 2


class Shuffled(nn.Module):
    """Channels mixed over groups in a way that only whole sets of channels survive."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3)
        self.second = nn.Conv2d(12, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        batch, channels, height, width = x.shape
        x = (
            x.view(batch, 3, channels // 3, height, width)
            .transpose(1, 2)
            .reshape(batch, channels, height, width)
        )
        return self.second(x)


def test_a_channel_shuffle_couples_one_channel_of_each_group() -> None:
    network, x = Shuffled().double(), images(2, 9)
    structure = trace(network, x)
    assert structure.group("first").classes == 4
    assert structure.classes["first"][:4] == structure.classes["first"][4:8] == structure.classes["first"][8:]
    with torch.no_grad():
        network.first.weight[[1, 5, 9]] = 0
        network.first.bias[[1, 5, 9]] = 0  # type: ignore[index]
    before = measure(network, x)
    assert apply(network, None, [Remove("first", (5,), exact=True)], x).removed == {"first": 3}
    assert max(change(before, measure(network, x))) <= 1e-10


class Fixed(nn.Module):
    """A flatten boundary written with a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.inner = nn.Linear(6 * 36, 10)
        self.out = nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.inner(self.conv(x).relu().view(-1, 216)).relu())


def test_a_size_written_into_the_code_is_found_out_and_refused() -> None:
    network, x = Fixed().double(), images(2, 8)
    structure = trace(network, x)
    assert structure.group("conv").refused == "reshaped in code that was written for fixed sizes"
    assert structure.group("inner").refused is None


class Pairs(nn.Module):
    """Units taken two by two: with fewer of them it still runs, but other units meet."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 8)
        self.second = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).view(len(x), -1, 2).transpose(1, 2).reshape(len(x), -1))


def test_a_network_that_would_run_on_but_pair_other_units_is_refused() -> None:
    network, x = Pairs(), torch.randn(3, 3)
    assert trace(network, x).group("first").refused == "reshaped in code that was written for fixed sizes"
    before = dict(network.named_parameters())
    with pytest.raises(SurgeryError, match="makes the network pair other units than before"):
        apply(network, None, [Remove("first", (0,))], x)
    assert all(before[name] is parameter for name, parameter in network.named_parameters())


def test_what_an_unknown_operation_reads_stays() -> None:
    class Bounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.out = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.renorm(self.first(x), 2, 0, 1.0))

    structure = trace(Bounded(), torch.randn(3, 4))
    assert structure.group("first").refused == "read by renorm, an operation that surgery does not know"


def test_auxiliary_outputs_of_training_mode_count() -> None:
    _, structure = _structure("googlenet")
    assert "aux1.conv.conv" in structure.readers["inception4a.branch1.conv"]


def test_tied_weights_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
            self.b.weight = self.a.weight
            self.first = nn.Linear(4, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.b(self.a(self.first(x).relu()).relu()).relu())

    network, x = Tied(), torch.randn(3, 4)
    receipt = apply(network, None, [Remove("first", (2,))], x)
    assert receipt.removed["first"] == 1
    assert network.a.weight is network.b.weight
    assert network.a.weight.shape == (5, 5)


def test_tracing_changes_nothing() -> None:
    make, side = NETWORKS["googlenet"]
    network = make().train()
    network.get_submodule("inception3a").eval()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seed = torch.get_rng_state()
    trace(network, images(2, side, torch.float32))
    after_seed = torch.get_rng_state()
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    torch.set_rng_state(seed)
    images(2, side, torch.float32)
    assert torch.equal(torch.get_rng_state(), after_seed)
