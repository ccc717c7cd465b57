"""Edits of single weights: against the same network and optimizer, changed by plain indexing."""

import copy

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Assign, Mask, NetworkEdit, Remove, SurgeryError, Unmask, apply, hold_masks
from tests.surgery.helpers import images, train
from tests.surgery.networks import lenet, mlp
from tests.surgery.optimizers import OPTIMIZERS, differing, go_on, remembered

_NAME = "3.weight"


def _trained(kind: str) -> tuple[nn.Module, torch.optim.Optimizer, Tensor]:
    network, x = mlp(nn.Tanh).double(), images(4, 8)
    optimizer = OPTIMIZERS[kind](network.parameters())
    train(network, optimizer, x, 3)
    return network, optimizer, x


def _memories(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    state = optimizer.state[network.get_parameter(_NAME)]
    return [value for value in state.values() if isinstance(value, Tensor) and value.dim()]


def _train_held(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, held: Tensor) -> None:
    for _ in range(3):
        train(network, optimizer, x, 1)
        with torch.no_grad():
            network.get_parameter(_NAME)[held] = 0


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("forget", [False, True])
def test_assigned_weights_train_on_as_those_written_by_hand(kind: str, forget: bool) -> None:
    network, optimizer, x = _trained(kind)
    twin, other = copy.deepcopy((network, optimizer))
    places, values = torch.randperm(480)[:50], torch.randn(50).double()
    with torch.no_grad():
        twin.get_parameter(_NAME).view(-1)[places] = values
        if forget:
            for memory in _memories(twin, other):
                memory.view(-1)[places] = 0
    receipt = apply(network, optimizer, [Assign(_NAME, values, places, forget)], x)
    assert receipt.assigned == {_NAME: 50}
    for own, optim in ((network, optimizer), (twin, other)):
        train(own, optim, x, 3)
    assert differing(remembered(network, optimizer), remembered(twin, other)) == []


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_masks_are_held_against_momentum_and_decay_and_let_go_without_a_memory(kind: str) -> None:
    """The dense reference zeroes weights by hand after every step, and their memory once they are let go."""
    network, optimizer, x = _trained(kind)
    twin, other = copy.deepcopy((network, optimizer))
    keep = torch.rand(20, 24) > 0.5
    apply(network, optimizer, [Mask(_NAME, keep)], x)
    with torch.no_grad():
        for tensor in (twin.get_parameter(_NAME), *_memories(twin, other)):
            tensor[~keep] = 0
    _train_held(twin, other, x, ~keep)
    go_on(network, optimizer, x)
    assert not network.get_parameter(_NAME)[~keep].any()
    freed = ~keep & (torch.rand(20, 24) > 0.5)
    receipt = apply(network, optimizer, [Unmask(_NAME, freed | keep)], x)
    assert receipt.unmasked == {_NAME: int(freed.sum())}
    with torch.no_grad():
        for tensor in (twin.get_parameter(_NAME), *_memories(twin, other)):
            tensor[freed] = 0
    _train_held(twin, other, x, ~keep & ~freed)
    go_on(network, optimizer, x)
    assert network.get_parameter(_NAME)[freed].all()
    found = remembered(network, optimizer)
    assert torch.equal(found.pop(f"{_NAME}_mask"), keep | freed)
    assert differing(found, remembered(twin, other)) == []


def test_values_are_given_for_a_mask_for_all_or_as_one_number() -> None:
    network, optimizer, x = _trained("adam")
    chosen = torch.rand(20, 24) > 0.5
    values = torch.arange(float(chosen.sum()))
    edits: list[NetworkEdit] = [
        Assign(_NAME, values, chosen),
        Assign("3.bias", torch.ones(20)),
        Assign("5.bias", torch.tensor(2.0), torch.tensor([0, 4])),
    ]
    receipt = apply(network, optimizer, edits, x)
    assert receipt.assigned == {_NAME: int(chosen.sum()), "3.bias": 20, "5.bias": 2}
    assert torch.equal(network.get_parameter(_NAME)[chosen], values.double())
    assert (network.get_parameter("3.bias") == 1).all()
    assert (network.get_parameter("5.bias") == 2).tolist() == [True, False, False, False, True]


def test_masked_entries_stay_zero_and_units_go_with_their_values() -> None:
    network, optimizer, x = _trained("adam")
    keep = torch.rand(20, 24) > 0.5
    edits: list[NetworkEdit] = [
        Mask(_NAME, keep),
        Remove("3", (0,)),
        Remove("1", (2,)),
        Assign(_NAME, torch.tensor(3.0)),
    ]
    receipt = apply(network, optimizer, edits, x)
    left = keep[1:][:, [column for column in range(24) if column != 2]]
    assert receipt.assigned == {_NAME: int(left.sum())}
    assert torch.equal(network.get_parameter(_NAME), torch.where(left, 3.0, 0.0).double())
    assert torch.equal(network.get_buffer(f"{_NAME}_mask"), left)


def test_running_averages_can_be_reset() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    x = torch.randn(8, 4)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    train(network, optimizer, x, 2)
    edits: list[NetworkEdit] = [
        Remove("0", (1,)),
        Assign("1.running_mean", torch.zeros(2), torch.tensor([0, 5])),
        Assign("1.running_var", torch.ones(()), torch.tensor([0, 5])),
    ]
    assert apply(network, optimizer, edits, x).assigned == {"1.running_mean": 2, "1.running_var": 2}
    assert network.get_buffer("1.running_mean")[[0, 4]].tolist() == [0, 0]
    assert network.get_buffer("1.running_mean")[[1, 2, 3]].all()


def test_averaged_copies_get_the_values_too() -> None:
    network, optimizer, x = _trained("adam")
    twin = copy.deepcopy(network)
    apply(network, optimizer, [Mask(_NAME, torch.arange(480).view(20, 24) > 9)], x, copies=[twin])
    apply(
        network,
        optimizer,
        [Unmask(_NAME, torch.tensor([0])), Assign(_NAME, torch.ones(1), torch.tensor([0]))],
        x,
        copies=[twin],
    )
    assert twin.get_parameter(_NAME).view(-1)[:10].tolist() == [1, *[0] * 9]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            Assign("3.weight", torch.zeros(2), torch.tensor([1, 480])),
            "entries 0 to 479; there is no entry 480",
        ),
        (Assign("3.weight", torch.zeros(2), torch.tensor([-1, 4])), "there is no entry -1"),
        (Assign("3.weight", torch.zeros(2), torch.tensor([4, 4])), "the same entry twice"),
        (Assign("3.weight", torch.zeros(3), torch.tensor([4, 5])), "must have shape (2,), or be one number"),
        (
            Assign("3.weight", torch.zeros(2), torch.tensor([4.0, 5.0])),
            "or int64 [k], places in the flattened",
        ),
        (
            Assign("3.weight", torch.zeros(2), torch.ones(24, 20) > 0),
            "must be a bool tensor of shape (20, 24)",
        ),
        (Assign("3.scale", torch.zeros(())), "no parameter or buffer '3.scale'"),
        (Unmask("3.weight", torch.tensor([480])), "there is no entry 480"),
        (Unmask("none", torch.tensor([0])), "no parameter or buffer 'none'"),
    ],
)
def test_bad_entries_are_one_sentence_and_change_nothing(edit: NetworkEdit, words: str) -> None:
    network, optimizer, x = _trained("adam")
    before = remembered(network, optimizer)
    with pytest.raises(SurgeryError) as error:
        apply(network, optimizer, [Mask("5.weight", torch.rand(5, 20) > 0.5), edit], x)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert differing(before, remembered(network, optimizer)) == []


def test_a_network_without_a_path_that_is_not_masked_is_lost() -> None:
    network, optimizer, x = _trained("adam")
    before = remembered(network, optimizer)
    receipt = apply(network, optimizer, [Mask(_NAME, torch.zeros(20, 24, dtype=torch.bool))], x)
    assert (receipt.emptied, receipt.masked) == (("3",), {})
    first, second = torch.zeros(24, 192, dtype=torch.bool), torch.zeros(20, 24, dtype=torch.bool)
    first[0], second[:, 1] = True, True
    receipt = apply(network, optimizer, [Mask("1.weight", first), Mask(_NAME, second)], x)
    assert receipt.emptied == ("1", "3")  # each keeps weights, and no two of them meet
    assert differing(before, remembered(network, optimizer)) == []
    second[:, 0] = True
    assert not apply(network, optimizer, [Mask("1.weight", first), Mask(_NAME, second)], x).emptied


def test_a_masked_branch_and_a_dead_network_are_not_lost() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.branch(x))

    none = torch.zeros(4, 4, dtype=torch.bool)
    assert apply(Sum(), None, [Mask("branch.weight", none)], torch.randn(2, 4)).masked == {
        "branch.weight": 16
    }
    network, x = lenet(), images(2, 32, torch.float32)
    with torch.no_grad():
        network[0].bias.fill_(-100.0)  # type: ignore[index]
    receipt = apply(network, None, [Mask("9.weight", torch.rand(5, 40) > 0.5)], x)
    assert not receipt.emptied
    hold_masks(network)
