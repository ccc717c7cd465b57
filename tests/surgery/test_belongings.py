"""What hangs on a parameter goes with it, and what only looks like a mask is left alone."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import (
    Assign,
    Mask,
    NetworkEdit,
    Remove,
    Reset,
    SurgeryError,
    Widen,
    apply,
    hold_masks,
    trace,
)
from tests.surgery.helpers import train

_X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
_EDITS: dict[str, NetworkEdit] = {
    "remove": Remove("0", (1,)),
    "widen": Widen("0", torch.ones(2, 6), torch.zeros(2), {}),
    "mask": Mask("0.weight", torch.arange(48).view(8, 6) > 5),
    "reset": Reset("0", (1,), torch.ones(1, 6)),
    "assign": Assign("0.weight", torch.ones(1), torch.tensor([3])),
}


def _network() -> Any:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))


@pytest.mark.parametrize("kind", _EDITS)
def test_hooks_go_on_and_their_handles_still_remove_them(kind: str) -> None:
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    steps: list[torch.Size] = []
    handle = network[0].weight.register_hook(torch.zeros_like)
    network[0].weight.register_post_accumulate_grad_hook(lambda own: steps.append(own.shape))
    apply(network, optimizer, [_EDITS[kind]], _X)
    before = network[0].weight.detach().clone()
    train(network, optimizer, _X, 1)
    assert torch.equal(network[0].weight, before)
    assert steps == [before.shape]
    handle.remove()
    train(network, optimizer, _X, 1)
    assert not torch.equal(network[0].weight, before)


@pytest.mark.parametrize("kind", _EDITS)
@pytest.mark.parametrize("register", ["register_hook", "register_prehook"])
def test_hooks_on_the_node_that_accumulates_a_gradient_are_refused(register: str, kind: str) -> None:
    network = _network()
    network[0].weight.register_post_accumulate_grad_hook(lambda own: None)
    network[0].weight.register_hook(torch.zeros_like)
    node = network[0].weight.view_as(network[0].weight).grad_fn.next_functions[0][0]
    seen: list[int] = []
    handle = getattr(node, register)(lambda *gradients: seen.append(1))
    state = copy.deepcopy(network.state_dict())
    trace(network, _X)
    with pytest.raises(SurgeryError, match=r"accumulates the gradient of '0.weight'[^\n]*\.$"):
        apply(network, None, [_EDITS[kind]], _X)
    assert all(torch.equal(own, state[name]) for name, own in network.state_dict().items())
    network(_X).sum().backward()
    assert seen == [1]
    handle.remove()
    apply(network, None, [_EDITS[kind]], _X)


def test_attributes_go_on_and_those_of_its_shape_are_cut_alike() -> None:
    network = _network()
    weight = network[0].weight
    weight.kind, weight.factor = "sparse", torch.arange(48.0).view(8, 6)
    apply(network, None, [Remove("0", (0,)), _EDITS["assign"]], _X)
    after = network[0].weight
    assert after.kind == "sparse"
    assert torch.equal(after.factor, torch.arange(48.0).view(8, 6)[1:])


@pytest.mark.parametrize("edit", [Remove("0", (1,)), Reset("0", (1,), torch.ones(1, 3, 3, 3))])
def test_channels_stay_last_in_memory_with_all_that_the_optimizer_remembers(edit: NetworkEdit) -> None:
    network: Any = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3))
    network.to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    train(network, optimizer, x, 1)
    apply(network, optimizer, [edit], x)
    for own in (network[0].weight, network[2].weight):
        state = [value for value in optimizer.state[own].values() if value.dim() == 4]
        assert len(state) == 2
        for tensor in (own, own.grad, *state):
            assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_parameters_of_a_class_of_their_own_are_refused() -> None:
    class Own(nn.Parameter):
        pass

    network = _network()
    network[0].weight = Own(network[0].weight.detach())
    with pytest.raises(SurgeryError, match=r"'0.weight' is a Own; surgery can make no other"):
        apply(network, None, [Remove("0", (1,))], _X)


def test_names_in_groups_stay_beside_their_parameters() -> None:
    network: Any = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 5, bias=False))
    optimizer = torch.optim.SGD(list(network.named_parameters()), 0.1)
    with torch.no_grad():
        network[0].weight[1] = 0
    apply(network, optimizer, [Remove("0", (1,), exact=True)], _X)
    [group] = optimizer.param_groups
    assert group["param_names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [id(own) for own in group["params"]] == [id(own) for _, own in network.named_parameters()]


class _Padded(nn.Module):
    """Has a buffer that is called as a mask would be, and means the opposite."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 8)
        self.shift = nn.Parameter(torch.randn(8))
        self.register_buffer("shift_mask", torch.arange(8) > 5)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.layer(x) + self.shift.masked_fill(self.get_buffer("shift_mask"), 0.0))
        return made


def test_a_buffer_of_the_networks_own_is_no_mask() -> None:
    network = _Padded()
    before = network(_X)
    hold_masks(network)
    assert torch.equal(network(_X), before)
    assert apply(network, None, [Assign("shift", torch.zeros(()))], _X).assigned == {"shift": 8}
    with pytest.raises(SurgeryError, match=r"has something of its own that is called 'shift_mask'"):
        apply(network, None, [Mask("head.bias", torch.arange(3) > 0), Mask("shift", torch.arange(8) > 1)], _X)
    assert not [name for name, _ in network.head.named_buffers()]


def test_masks_are_known_in_copies_and_after_being_taken_back() -> None:
    network = _network()
    with pytest.raises(SurgeryError):
        apply(network, None, [_EDITS["mask"], Remove("0", (8,))], _X)
    apply(network, None, [_EDITS["mask"]], _X)
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin[0].weight.fill_(1.0)
    hold_masks(twin)
    assert not twin[0].weight[0].any()
    assert twin[0].weight[1:].all()


def test_a_constant_that_is_folded_into_a_masked_bias_stays() -> None:
    network: Any = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)).double()
    x = _X.double()
    optimizer = torch.optim.SGD(network.parameters(), 0.0)
    with torch.no_grad():
        network[0].weight[1] = 0
    weights = torch.ones(5, 8, dtype=torch.bool)
    weights[4, 1] = False  # this output does not listen, so its bias stays masked
    masks = [Mask("2.bias", torch.zeros(5, dtype=torch.bool)), Mask("2.weight", weights)]
    apply(network, optimizer, masks, x)
    before = network(x)
    apply(network, optimizer, [Remove("0", (1,), exact=True)], x)
    train(network, optimizer, x, 1)
    hold_masks(network)
    assert (network(x) - before).abs().max() < 1e-12
    assert network.get_buffer("2.bias_mask").tolist() == [True] * 4 + [False]


def test_a_buffer_that_the_forward_pass_exchanges_is_given_back() -> None:
    class Counting(nn.Module):
        runs: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
            self.register_buffer("runs", torch.zeros(()))

        def forward(self, x: Tensor) -> Any:
            self.runs = self.runs + 1
            return self.head(self.layer(x))

    network = Counting()
    apply(network, None, [Remove("layer", (1,))], _X, certify=True)
    assert network.runs == 0


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_backward_hooks_of_modules_go_on() -> None:
    network = _network()
    seen: list[Any] = []
    network[0].register_full_backward_hook(lambda module, given, made: seen.append(given))
    apply(network, None, [Remove("0", (1,))], _X)
    seen.clear()
    network(_X).sum().backward()
    assert len(seen) == 1


@pytest.mark.parametrize(
    "edit", [Remove("0", (1,)), Assign("0.weight", torch.ones(()), torch.tensor([3]), forget=True)]
)
def test_gradients_of_looked_up_rows_stay_so(edit: NetworkEdit) -> None:
    network: Any = nn.Sequential(nn.Embedding(10, 8, sparse=True), nn.Linear(8, 5))
    ids = torch.randint(0, 10, (4, 3))
    optimizers = [torch.optim.SparseAdam(network[0].parameters()), torch.optim.SGD(network[1].parameters())]
    network(ids).sum().backward()
    apply(network, optimizers, [edit], ids)
    weight = network[0].weight
    assert weight.grad.is_sparse
    assert weight.grad.shape == weight.shape
    optimizers[0].step()


def test_an_attribute_that_is_another_parameter_follows_it() -> None:
    network = _network()
    network[0].weight.twin = network[2].weight
    apply(network, None, [Remove("0", (1,)), _EDITS["assign"]], _X)
    assert network[0].weight.twin is network[2].weight


def test_parameters_in_one_memory_are_not_parted() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 5)
            self.right.weight.data = self.left.weight.data

        def forward(self, x: Tensor) -> Any:
            return self.head(self.left(x) + self.right(x))

    network = Tied()
    assert trace(network, _X).group("left").refused == "lies in the memory of 'right.weight'"
    assert not apply(network, None, [Remove("left", (1,))], _X).removed
    with pytest.raises(SurgeryError, match=r"'right.weight' lies in the memory of 'left.weight'"):
        apply(network, None, [Mask("right.weight", torch.arange(48).view(8, 6) > 5)], _X)
    apply(network, None, [Mask("head.weight", torch.arange(40).view(5, 8) > 5)], _X)


def test_parts_of_one_storage_are_parameters_of_their_own() -> None:
    network, storage = _network(), torch.randn(88)
    network[0].weight = nn.Parameter(storage[:48].view(8, 6))
    network[2].weight = nn.Parameter(storage[48:].view(5, 8))
    assert apply(network, None, [Remove("0", (1,))], _X).removed == {"0": 1}
