"""Edits: their order, what they leave alone, and what happens when one of them cannot be carried out."""

import copy

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Mask, Remove, RemoveBlock, Reset, SurgeryError, Widen, apply, hold_masks, trace
from tests.surgery.helpers import change, ids, images, measure, optimizer_parameters, train
from tests.surgery.networks import NETWORKS, lenet, mlp

_EXACT = 1e-10


def _trained() -> tuple[nn.Module, torch.optim.Optimizer, Tensor]:
    network, x = lenet().double(), images(4, 32)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    train(network, optimizer, x, 3)
    return network, optimizer, x


def test_nothing_asked_is_nothing_done() -> None:
    network, optimizer, x = _trained()
    before = dict(network.named_parameters())
    assert apply(network, optimizer, [], x).removed == {}
    assert apply(network, optimizer, [Remove("0", ())], x).removed == {}
    assert all(before[name] is parameter for name, parameter in network.named_parameters())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_removals_give_the_same_in_any_order_and_in_steps(order: tuple[int, ...]) -> None:
    network, _, x = _trained()
    edits = [Remove("0", (1, 3)), Remove("3", (0, 7)), Remove("7", (5, 6, 30))]
    together, apart = copy.deepcopy(network), copy.deepcopy(network)
    apply(together, None, edits, x)
    for index in order:
        apply(apart, None, [edits[index]], x)
    assert all(torch.equal(value, apart.state_dict()[name]) for name, value in together.state_dict().items())


def test_two_layers_of_a_sum_may_name_the_same_unit() -> None:
    make, side = NETWORKS["basic_resnet"]
    network, x = make().double(), images(2, side)
    receipt = apply(network, None, [Remove("conv1", (3, 5)), Remove("layer1.0.conv2", (5, 8))], x)
    assert receipt.removed == {"conv1": 3, "layer1.0.conv2": 3}


def test_a_normalisation_names_the_units_it_scales() -> None:
    make, side = NETWORKS["basic_resnet"]
    network, x = make().double(), images(2, side)
    assert apply(network, None, [Remove("layer1.0.bn1", (3,))], x).removed == {"layer1.0.conv1": 1}


def test_the_small_network_is_the_one_built_small() -> None:
    """Its tensors load into a network that was never larger, with the same output."""
    network, x = mlp().double(), images(4, 8)
    apply(network, None, [Remove("1", tuple(range(0, 24, 2))), Remove("3", (19,))], x)
    fresh = nn.Sequential(
        nn.Flatten(), nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 19), nn.ReLU(), nn.Linear(19, 5)
    ).double()
    fresh.load_state_dict(network.state_dict())
    assert repr(fresh) == repr(network)
    assert torch.equal(fresh(x), network(x))


def test_down_to_one_unit_and_no_further() -> None:
    network, optimizer, x = _trained()
    receipt = apply(network, optimizer, [Remove("0", tuple(range(1, 8))), Remove("7", tuple(range(39)))], x)
    assert receipt.removed == {"0": 7, "7": 39}
    train(network, optimizer, x, 1)
    apply(network, optimizer, [Remove("3", tuple(range(11)))], x[:1])
    before = dict(network.named_parameters())
    receipt = apply(network, optimizer, [Remove("3", (0,)), Remove("0", ())], x)
    assert receipt.emptied == ("3",)
    assert receipt.removed == {}
    assert all(before[name] is parameter for name, parameter in network.named_parameters())
    assert trace(network, x[:1]).units == {"0": 1, "3": 1, "7": 1, "9": 5}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Remove("3", (12,)), "units 0 to 11; there is no unit 12"),
        (Remove("3", (-1,)), "there is no unit -1"),
        (Remove("3", (1, 1)), "the same unit twice"),
        (Remove("conv", (0,)), "no module 'conv'"),
        (Remove("1", (0,)), "'1' (ReLU) makes no units; layers that do: 0, 3, 7, 9"),
        (Mask("3.weight", torch.ones(12, 8, 5)), "must be a bool tensor of shape (12, 8, 5, 5)"),
        (Mask("3.scale", torch.ones(12)), "no parameter or buffer '3.scale'"),
        (Reset("3", (0,), torch.zeros(1, 8, 3, 3)), "must have shape (1, 8, 5, 5)"),
        (Widen("3", torch.zeros(2, 9, 5, 5), torch.zeros(2), {}), "must have shape (new, 8, 5, 5)"),
        (Widen("3", torch.zeros(2, 8, 5, 5), None, {}), "must be shape (2,)"),
        (Widen("9", torch.zeros(2, 40), torch.zeros(2), {}), "belongs to the network's output"),
        (
            Widen("3", torch.zeros(2, 8, 5, 5), torch.zeros(2), {"7": torch.zeros(40, 2)}),
            "(39, 50), not (39, 2)",
        ),
        (RemoveBlock("3"), "turns [(4, 8, 14, 14)] into [(4, 12, 10, 10)]"),
        (RemoveBlock("block"), "no module 'block'"),
    ],
)
def test_a_bad_edit_is_one_sentence_and_undoes_the_good_ones_before_it(edit: object, words: str) -> None:
    network, optimizer, x = _trained()
    before, modules = dict(network.named_parameters()), list(network.modules())
    values = {name: value.clone() for name, value in network.state_dict().items()}
    state = {id(p): dict(optimizer.state[p]) for p in network.parameters()}
    good = [Remove("7", (0,)), Mask("9.weight", torch.arange(200).view(5, 40) > 60)]
    with pytest.raises(SurgeryError) as error:
        apply(network, optimizer, [*good, edit], x)  # type: ignore[list-item]
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert all(before[name] is parameter for name, parameter in network.named_parameters())
    assert list(network.modules()) == modules
    assert network.state_dict().keys() == values.keys()
    assert all(torch.equal(values[name], value) for name, value in network.state_dict().items())
    assert all(state[id(p)] == dict(optimizer.state[p]) for p in network.parameters())
    layer = network.get_submodule("7")
    assert isinstance(layer, nn.Linear)
    assert layer.out_features == 40


def test_a_widened_network_gives_the_same_and_learns_with_the_new_units() -> None:
    network, optimizer, x = _trained()
    before = measure(network, x)
    edits = [
        Widen("0", torch.randn(2, 3, 5, 5).double(), torch.randn(2).double(), {}),
        Widen("3", torch.randn(3, 8, 5, 5).double(), torch.randn(3).double(), {}),
        Widen("7", torch.randn(1, 12 * 25).double(), torch.zeros(1).double(), {}),
    ]
    old_memory = optimizer.state[network.get_parameter("7.weight")]["exp_avg"].clone()
    receipt = apply(network, optimizer, edits, x)
    assert receipt.added == {"0": 2, "3": 3, "7": 1}
    assert max(change(before, measure(network, x))) <= _EXACT
    memory = optimizer.state[network.get_parameter("7.weight")]["exp_avg"]
    assert torch.equal(memory[:40, :300], old_memory)
    assert not memory[40:].any()
    assert not memory[:, 300:].any()
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    train(network, optimizer, x, 3)
    assert network.get_parameter("3.weight")[:12, 8:].abs().max() > 1e-3
    assert network.get_parameter("7.weight")[:, 300:].abs().max() > 1e-3


def test_widening_goes_through_normalisation_sums_and_concatenations() -> None:
    make, side = NETWORKS["unet"]
    network, x = make().double(), images(2, side)
    train(network, torch.optim.SGD(network.parameters(), 1e-2), x, 3)
    before = measure(network, x)
    apply(network, None, [Widen("down2.3", torch.randn(4, 16, 3, 3).double(), None, {})], x)
    assert network.get_parameter("join2.0.weight").shape[1] == 36
    # A unit at rest passes the running mean of zero and variance of one, so only evaluation is compared
    # before anything reads the new units, and training mode too.
    assert max(change(before, measure(network, x))) <= _EXACT
    resnet, x = NETWORKS["basic_resnet"][0]().double(), images(2, 32)
    before = measure(resnet, x)
    apply(resnet, None, [Widen("conv1", torch.randn(3, 3, 7, 7).double(), None, {})], x)
    assert resnet.get_parameter("layer1.0.conv2.weight").shape[0] == 67
    assert not resnet.get_parameter("layer1.0.conv2.weight")[64:].any()
    assert max(change(before, measure(resnet, x))) <= _EXACT


def test_outgoing_weights_of_new_units_are_used() -> None:
    network, x = mlp().double(), images(2, 8)
    outgoing = torch.randn(20, 2).double()
    apply(
        network, None, [Widen("1", torch.zeros(2, 192).double(), torch.ones(2).double(), {"3": outgoing})], x
    )
    assert torch.equal(network.get_parameter("3.weight")[:, 24:], outgoing)


@pytest.mark.parametrize("kind", ["sgd", "adamw", "rmsprop"])
def test_masked_entries_stay_zero_whatever_the_optimizer_does(kind: str) -> None:
    network, x = lenet().double(), images(4, 32)
    optimizer = {
        "sgd": torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=0.1),
        "adamw": torch.optim.AdamW(network.parameters(), 1e-2, weight_decay=0.1),
        "rmsprop": torch.optim.RMSprop(network.parameters(), 1e-3, momentum=0.9),
    }[kind]
    train(network, optimizer, x, 3)
    keep = torch.rand(40, 300) > 0.5
    receipt = apply(network, optimizer, [Mask("7.weight", keep)], x)
    assert receipt.masked == {"7.weight": int((~keep).sum())}
    for _ in range(3):
        train(network, optimizer, x, 1)
        hold_masks(network)
        assert not network.get_parameter("7.weight")[~keep].any()
    # Masks grow, and go with the units.
    more = torch.ones_like(keep)
    more[:, 0] = False
    assert apply(network, optimizer, [Mask("7.weight", more)], x).masked == {
        "7.weight": int(keep[:, 0].sum())
    }
    apply(network, optimizer, [Remove("7", (0, 1)), Remove("3", (2,))], x)
    columns = [c for c in range(300) if c // 25 != 2]
    held = (keep & more)[2:][:, columns]
    assert torch.equal(network.get_buffer("7.weight_mask"), held)
    train(network, optimizer, x, 1)
    hold_masks(network)
    assert not network.get_parameter("7.weight")[~held].any()


def test_holding_masks_where_there_are_none_changes_nothing() -> None:
    make, _ = NETWORKS["basic_resnet"]
    network = make()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hold_masks(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_reset_touches_the_units_and_their_memory_alone() -> None:
    network, optimizer, x = _trained()
    weight = network.get_parameter("3.weight").detach().clone()
    memory = optimizer.state[network.get_parameter("3.weight")]["exp_avg"].clone()
    steps = optimizer.state[network.get_parameter("3.weight")]["step"].clone()
    bias = network.get_parameter("3.bias").detach().clone()
    new = torch.randn(2, 8, 5, 5).double()
    receipt = apply(network, optimizer, [Reset("3", (1, 4), new)], x)
    assert receipt.reset == {"3": 2}
    others = [unit for unit in range(12) if unit not in (1, 4)]
    after = network.get_parameter("3.weight")
    assert torch.equal(after[[1, 4]], new)
    assert torch.equal(after[others], weight[others])
    assert torch.equal(network.get_parameter("3.bias"), bias)
    state = optimizer.state[after]
    assert not state["exp_avg"][[1, 4]].any()
    assert torch.equal(state["exp_avg"][others], memory[others])
    assert state["step"] == steps
    apply(network, optimizer, [Reset("3", (0,), new[:1], torch.ones(1).double())], x)
    assert network.get_parameter("3.bias")[0] == 1


def test_a_block_that_adds_nothing_is_removed_without_a_trace() -> None:
    make, side = NETWORKS["resnet18"]
    network, x = make().double(), images(2, side)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    train(network, optimizer, x, 2)
    with torch.no_grad():
        network.get_parameter("layer1.1.bn2.weight").zero_()
        network.get_parameter("layer1.1.bn2.bias").zero_()
    before = measure(network, x)
    receipt = apply(network, optimizer, [RemoveBlock("layer1.1")], x, certify=True)
    assert receipt.blocks == ("layer1.1",)
    assert receipt.output_change is not None
    assert max(receipt.output_change) <= _EXACT
    assert max(change(before, measure(network, x))) <= _EXACT
    assert not any(name.startswith("layer1.1") for name, _ in network.named_parameters())
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    assert {id(own) for own in optimizer.state} == ids(network.parameters())
    train(network, optimizer, x, 1)
    with pytest.raises(SurgeryError, match="only blocks that keep the shape"):
        apply(network, optimizer, [RemoveBlock("layer2.0")], x)
