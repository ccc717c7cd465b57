"""All edits of one proposal speak of the network as it was seen, whatever earlier ones have done to it."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import (
    Assign,
    InsertBlock,
    Mask,
    NetworkEdit,
    Remove,
    RemoveBlock,
    Reset,
    Residual,
    SurgeryError,
    Widen,
    apply,
)
from tests.surgery.helpers import images, train
from tests.surgery.networks import NETWORKS, mlp
from tests.surgery.optimizers import OPTIMIZERS, differing, go_on, remembered


def _mlp(kind: str = "adam") -> tuple[nn.Module, torch.optim.Optimizer, Tensor]:
    network, x = mlp(nn.Tanh).double(), images(4, 8)
    optimizer = OPTIMIZERS[kind](network.parameters())
    train(network, optimizer, x, 3)
    return network, optimizer, x


def _edits() -> list[NetworkEdit]:
    keep = torch.rand(20, 24) > 0.3
    return [
        Remove("1", (2, 5, 23)),
        Remove("3", (0, 4)),
        Reset("3", (1, 19), torch.randn(2, 24).double(), torch.randn(2).double()),
        Mask("3.weight", keep),
        Assign("5.weight", torch.randn(2).double(), torch.tensor([3, 99]), forget=True),
    ]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_removals_first_or_last_make_no_difference(kind: str) -> None:
    network, optimizer, x = _mlp(kind)
    edits = _edits()
    results = []
    for order in ((0, 1, 2, 3, 4), (2, 3, 4, 0, 1), (0, 2, 3, 1, 4)):
        twin, other = copy.deepcopy((network, optimizer))
        receipt = apply(twin, other, [edits[place] for place in order], x)
        assert receipt.removed == {"1": 3, "3": 2}
        assert receipt.reset == {"3": 2}
        go_on(twin, other, x)
        results.append(remembered(twin, other))
    assert differing(results[0], results[1]) == []
    assert differing(results[0], results[2]) == []


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_proposal_equals_plain_indexing_of_all_tensors(kind: str) -> None:
    network, optimizer, x = _mlp(kind)
    removal, removal_3, reset, mask, assign = _edits()
    assert isinstance(reset, Reset)
    assert isinstance(mask, Mask)
    assert isinstance(assign, Assign)
    twin, other = copy.deepcopy((network, optimizer))
    ones, threes = [u for u in range(24) if u not in (2, 5, 23)], [u for u in range(20) if u not in (0, 4)]
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            state = [v for v in other.state[parameter].values() if isinstance(v, Tensor) and v.dim()]
            if name == "3.weight":
                parameter[list(reset.units)] = reset.weight
                for value in state:
                    value[list(reset.units)] = 0
                for value in (parameter, *state):
                    value[~mask.keep] = 0
            if name == "3.bias":
                assert reset.bias is not None
                parameter[list(reset.units)] = reset.bias
                for value in state:
                    value[list(reset.units)] = 0
            if name == "5.weight":
                parameter.view(-1)[assign.entries] = assign.values
                for value in state:
                    value.view(-1)[assign.entries] = 0

    def indexed(name: str, value: Tensor) -> Tensor:
        layer = name.split(".")[0]
        if value.dim():
            value = value[{"1": ones, "3": threes}.get(layer, list(range(len(value))))]
        if value.dim() > 1:
            value = value[:, {"3": ones, "5": threes}.get(layer, list(range(value.shape[1])))]
        return value

    wanted = {name: indexed(name, value) for name, value in remembered(twin, other).items()}
    wanted["3.weight_mask"] = indexed("3.weight", mask.keep)
    apply(network, optimizer, [removal, removal_3, reset, mask, assign], x)
    assert differing(wanted, remembered(network, optimizer)) == []


def test_shapes_are_those_that_were_seen_where_units_were_put_in() -> None:
    network, _, x = _mlp()
    reading = torch.randn(20, 3).double()
    first = Widen("1", torch.randn(3, 192).double(), torch.zeros(3).double(), {"3": reading})
    new_rows, outgoing = torch.randn(2, 24).double(), torch.randn(5, 2).double()
    edits: list[NetworkEdit] = [
        first,
        Remove("1", (0,)),
        Widen("3", new_rows, torch.zeros(2).double(), {"5": outgoing}),
        Mask("3.weight", torch.zeros(20, 24, dtype=torch.bool).index_fill(0, torch.arange(19), True)),
        Assign("3.weight", torch.full((20, 24), 7.0).double()),
        Reset("3", (4,), torch.ones(1, 24).double()),
    ]
    apply(network, None, edits, x)
    weight = network.get_parameter("3.weight")
    assert weight.shape == (22, 26)
    assert (weight[:19, :23][[row for row in range(19) if row != 4]] == 7).all()
    assert (weight[4, :23] == 1).all()
    assert torch.equal(weight[:20, 23:], reading)
    assert not weight[19, :23].any()
    assert torch.equal(weight[20:, :23], new_rows[:, 1:])
    assert not weight[20:, 23:].any()


def test_what_is_gone_is_dropped_and_told() -> None:
    network, optimizer, x = _mlp()
    reset = Reset("3", (1, 2, 3), torch.randn(3, 24).double())
    receipt = apply(network, optimizer, [Remove("3", (2, 3)), reset, Remove("3", (3,))], x)
    assert (receipt.removed, receipt.reset, receipt.dropped) == ({"3": 2}, {"3": 1}, {"3": 2})
    assert torch.equal(network.get_parameter("3.weight")[1], reset.weight[0])
    receipt = apply(network, optimizer, [Remove("3", (1,)), Reset("3", (1,), torch.zeros(1, 24).double())], x)
    assert (receipt.reset, receipt.dropped) == ({}, {"3": 1})


def test_units_of_coupled_layers_are_found_again() -> None:
    make, side = NETWORKS["basic_resnet"]
    network, x = make().double(), images(2, side)
    weight = network.get_parameter("layer1.0.conv2.weight").detach().clone()
    new = torch.randn(2, 64, 3, 3).double()
    edits: list[NetworkEdit] = [
        Remove("conv1", (3, 5)),
        Reset("layer1.0.conv2", (4, 5), new),
        Remove("layer1.0.bn1", (0,)),
    ]
    receipt = apply(network, None, edits, x)
    assert receipt.removed == {"conv1": 2, "layer1.0.conv2": 2, "layer1.0.conv1": 1}
    assert receipt.dropped == {"layer1.0.conv2": 1}
    after = network.get_parameter("layer1.0.conv2.weight")
    assert torch.equal(after[3], new[0][1:])  # unit 4 is the fourth that is left
    assert torch.equal(after[4], weight[6][1:])


def test_heads_are_found_again() -> None:
    make, side = NETWORKS["vit"]
    network, x = make().double(), images(2, side)
    name = "encoder.layers.encoder_layer_0.self_attention"
    together, apart = copy.deepcopy(network), copy.deepcopy(network)
    mask = Mask("heads.head.bias", torch.arange(5) > 0)
    apply(together, None, [Remove(name, (0,)), mask, Remove(name, (2,))], x)
    apply(apart, None, [Remove(name, (0, 2)), mask], x)
    assert differing(together.state_dict(), apart.state_dict()) == []


class _Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(6, 8)
        self.blocks = nn.Sequential(
            *(Residual(nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 8))) for _ in range(2))
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


def test_what_a_removed_block_held_is_gone_for_all_edits() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6)
    keep = torch.zeros(4, 8, dtype=torch.bool)
    inside = "blocks.0.branch.0"
    others: list[NetworkEdit] = [
        Mask(f"{inside}.weight", keep),
        Remove(inside, (1,)),
        Reset(inside, (2,), torch.zeros(1, 8)),
        Assign(f"{inside}.weight", torch.ones(())),
        Widen(inside, torch.zeros(1, 8), torch.zeros(1), {}),
        RemoveBlock("blocks.0"),
        RemoveBlock(f"{inside}"),
    ]
    network = _Blocks()
    receipt = apply(network, None, [RemoveBlock("blocks.0"), *others], x)
    assert receipt.blocks == ("blocks.0",)
    assert receipt.dropped == {inside: 1}
    assert (receipt.removed, receipt.masked, receipt.assigned, receipt.added) == ({}, {}, {}, {})
    assert type(network.get_submodule("blocks.0")) is nn.Identity


def test_a_block_can_be_exchanged_and_the_new_one_is_out_of_reach() -> None:
    torch.manual_seed(0)
    x, network = torch.randn(3, 6), _Blocks()
    branch: Any = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 8))
    nn.init.zeros_(branch[2].weight)
    nn.init.zeros_(branch[2].bias)
    fresh = branch[0].weight.detach().clone()
    mask = Mask("blocks.0.branch.0.weight", torch.zeros(4, 8, dtype=torch.bool))
    edits: list[NetworkEdit] = [RemoveBlock("blocks.0"), InsertBlock("blocks.0", Residual(branch)), mask]
    receipt = apply(network, None, edits, x)
    assert (receipt.blocks, receipt.inserted, receipt.masked) == (("blocks.0",), ("blocks.0",), {})
    assert torch.equal(network.get_parameter("blocks.0.branch.0.weight"), fresh)
    with pytest.raises(SurgeryError, match="another edit of the proposal takes it out"):
        apply(
            network, None, [RemoveBlock("blocks.0"), InsertBlock("blocks.0.activation", Residual(branch))], x
        )


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([Remove("3", (1,)), Remove("3", (20,))], "there is no unit 20"),
        ([Remove("3", (1,)), Mask("3.weight", torch.ones(19, 24, dtype=torch.bool))], "shape (20, 24)"),
        ([Remove("3", (1,)), Reset("3", (0,), torch.zeros(1, 23))], "'3.weight' must have shape"),
        ([Remove("1", (1,)), Reset("3", (0,), torch.zeros(1, 23))], "must have shape (1, 24)"),
        ([Remove("1", (1,)), Reset("3", (0, 1), torch.zeros(1, 24))], "2 units of '3.weight'"),
        ([Remove("1", (1,)), Widen("3", torch.zeros(1, 23), torch.zeros(1), {})], "must have shape (1, 24)"),
        ([Remove("1", (1,)), Assign("3.weight", torch.zeros(20, 23))], "must have shape (20, 24)"),
        (
            [Mask("3.weight", torch.rand(20, 24) > 0.5), Mask("3.weight_mask", torch.ones(20, 24) > 0)],
            "no parameter or buffer '3.weight_mask'",
        ),
    ],
)
def test_what_was_not_seen_is_refused(edits: list[NetworkEdit], words: str) -> None:
    network, optimizer, x = _mlp()
    before = remembered(network, optimizer)
    with pytest.raises(SurgeryError) as error:
        apply(network, optimizer, edits, x)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert differing(before, remembered(network, optimizer)) == []


def test_a_proposal_of_nothing_is_an_empty_receipt() -> None:
    network, optimizer, x = _mlp()
    before = dict(network.named_parameters())
    edits: list[NetworkEdit] = [
        Remove("3", ()),
        Mask("3.weight", torch.ones(20, 24, dtype=torch.bool)),
        Assign("3.weight", torch.zeros(0), torch.zeros(0, dtype=torch.int64)),
        Reset("3", (), torch.zeros(0, 24)),
        Widen("3", torch.zeros(0, 24), torch.zeros(0), {}),
        RemoveBlock("2"),
    ]
    network[2] = nn.Identity()  # type: ignore[operator]
    for edit in edits:
        receipt = apply(network, optimizer, [edit], x, certify=True)
        assert receipt.is_empty, edit
    assert apply(network, optimizer, edits, x).is_empty
    assert all(before[name] is parameter for name, parameter in network.named_parameters())
    assert "3.weight_mask" not in dict(network.named_buffers())
