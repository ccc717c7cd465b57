"""All optimizers follow, and what cannot follow is refused by name, with everything as it was."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from harness.sizing.gates import attach_gates
from harness.surgery import InsertBlock, Mask, Remove, RemoveBlock, SurgeryError, apply
from tests.surgery.helpers import ids, optimizer_parameters, train

_X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _network(width: int = 8, *, bias: bool = True) -> Any:
    torch.manual_seed(0)
    layers = (nn.Linear(4, width), nn.Sigmoid(), nn.Linear(width, width, bias=bias), nn.Tanh())
    return nn.Sequential(*layers, nn.Linear(width, 3)).double()


def _by_axes(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    every = list(network.parameters())
    return [own for own in every if own.dim() == 2], [own for own in every if own.dim() < 2]


def _pair(network: nn.Module) -> list[Optimizer]:
    matrices, vectors = _by_axes(network)
    return [torch.optim.Muon(matrices, 0.02), Adam(vectors, 0.01)]


def _train(network: nn.Module, optimizers: Iterable[Optimizer], steps: int = 1) -> None:
    for _ in range(steps):
        for optimizer in optimizers:
            train(network, optimizer, _X, 1)


def test_each_of_several_optimizers_keeps_what_it_remembers() -> None:
    network = _network()
    muon, adam = _pair(network)
    _train(network, [adam])
    for own in muon.param_groups[0]["params"]:  # by hand, for its first step compiles
        muon.state[own]["momentum_buffer"] = torch.randn_like(own)
    before = [muon.state[network[2].weight]["momentum_buffer"], adam.state[network[0].bias]["exp_avg"]]
    apply(network, (muon, adam), [Remove("0", (1, 3)), Remove("2", (0,))], _X)
    kept = [0, 2, 4, 5, 6, 7]
    assert torch.equal(muon.state[network[2].weight]["momentum_buffer"], before[0][1:][:, kept])
    assert torch.equal(adam.state[network[0].bias]["exp_avg"], before[1][kept])
    assert optimizer_parameters(muon) == ids(_by_axes(network)[0])
    assert optimizer_parameters(adam) == ids(_by_axes(network)[1])
    assert set(muon.state) | set(adam.state) == set(network.parameters())
    _train(network, [adam])


def test_a_parameter_of_two_optimizers_is_exchanged_in_both() -> None:
    network = _network()
    both = [SGD(network.parameters(), 0.1, momentum=0.9), Adam(network[2].parameters(), 0.01)]
    _train(network, both)
    apply(network, [*both, both[0]], [Remove("2", (0,))], _X)
    assert optimizer_parameters(both[0]) == ids(network.parameters())
    assert optimizer_parameters(both[1]) == ids(network[2].parameters())
    assert both[0].state[network[2].weight]["momentum_buffer"].shape == (7, 8)
    assert both[1].state[network[2].weight]["exp_avg"].shape == (7, 8)


def test_one_that_is_forgotten_is_missed() -> None:
    network = _network()
    muon, _ = _pair(network)
    with pytest.raises(SurgeryError, match=r"does not own the parameter '2.bias' .*give all optimizers"):
        apply(network, muon, [Remove("0", (1,))], _X)
    with pytest.raises(SurgeryError, match=r"must be a torch.optim.Optimizer, not a GradScaler"):
        apply(network, [muon, torch.amp.GradScaler("cpu")], [Remove("0", (1,))], _X)  # type: ignore[list-item]


@pytest.mark.parametrize("others", [True, False])
def test_a_vector_that_a_cut_makes_is_not_given_to_muon(others: bool) -> None:
    network = _network(bias=False)
    optimizers = _pair(network)[: 1 + others]
    with torch.no_grad():
        network[0].weight[1] = 0
    if not others:
        network[0].bias.requires_grad_(False)
        network[4].bias.requires_grad_(False)
        with pytest.raises(SurgeryError, match=r"'2.bias' .* has no optimizer: Muon trains matrices alone"):
            apply(network, optimizers, [Remove("0", (1,), exact=True)], _X)
        return
    apply(network, optimizers, [Remove("0", (1,), exact=True)], _X)
    assert network[2].bias is not None
    assert optimizer_parameters(optimizers[1]) == ids(_by_axes(network)[1])


class _Sharpness(Optimizer):
    """Steps twice as another optimizer does, and shares its groups (as SAM)."""

    def __init__(self, parameters: Iterable[nn.Parameter], base: type[Optimizer], **options: Any) -> None:
        super().__init__(parameters, options)
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for own in group["params"]:
                self.state[own]["old"] = own.detach().clone()
        self.base.step()


class _Lookahead(Optimizer):
    """Wraps another optimizer and has a memory beside."""

    def __init__(self, inner: Optimizer) -> None:
        self.optimizer = inner
        super().__init__([{"params": group["params"]} for group in inner.param_groups], {})
        for group in self.param_groups:
            for own in group["params"]:
                self.state[own]["slow"] = own.detach().clone()

    def step(self, closure: Any = None) -> Any:
        self.optimizer.step()


_WRAPPING: dict[str, Callable[[nn.Module], Optimizer]] = {
    "sharpness": lambda network: _Sharpness(network.parameters(), SGD, lr=0.1, momentum=0.9),
    "lookahead": lambda network: _Lookahead(SGD(network.parameters(), 0.1, momentum=0.9)),
}


@pytest.mark.parametrize("kind", _WRAPPING)
def test_an_optimizer_inside_another_one_follows(kind: str) -> None:
    network = _network(bias=False)
    outer: Any = _WRAPPING[kind](network)
    train(network, outer, _X, 2)
    with torch.no_grad():
        network[0].weight[1] = 0
    apply(network, outer, [Remove("0", (1,), exact=True), Remove("2", (2,))], _X)
    inner = outer.base if kind == "sharpness" else outer.optimizer
    for optimizer in (outer, inner):
        assert optimizer_parameters(optimizer) == ids(network.parameters())
        assert len(optimizer.param_groups[0]["params"]) == 6
        for parameter, state in optimizer.state.items():
            assert all(value.shape == parameter.shape for value in state.values())
    train(network, outer, _X, 1)


def _stepped(optimizer: Any, network: nn.Module) -> Optimizer:
    def closure() -> Tensor:
        optimizer.zero_grad()
        made = network(_X).square().sum()
        made.backward()
        return made

    optimizer.step(closure)
    return optimizer


class _Own(SGD):
    """An optimizer of somebody's, to hang a memory of any kind on."""


def _remembering(network: nn.Module, key: str, make: Callable[[nn.Parameter], Any]) -> Optimizer:
    optimizer = _Own(network.parameters(), 0.1)
    for own in network.parameters():
        optimizer.state[own][key] = make(own)
    return optimizer


def _with_attribute(network: nn.Module) -> Optimizer:
    optimizer: Any = _Own(network.parameters(), 0.1)
    optimizer.slow = {own: own.detach().clone() for own in network.parameters()}
    return optimizer


def _with_group(network: nn.Module) -> Optimizer:
    optimizer = _Own(network.parameters(), 0.1)
    optimizer.param_groups[0]["z"] = [own.detach().clone() for own in network.parameters()]
    return optimizer


def _for_all(network: nn.Module) -> Optimizer:
    optimizer: Any = _Own(network.parameters(), 0.1)
    optimizer.state["all"]["flat"] = torch.zeros(9)
    return optimizer


class _Projector:
    """What an optimizer may remember, and nobody can look into."""


_REFUSED: dict[str, tuple[str, Callable[[nn.Module], Optimizer]]] = {
    "lbfgs": ("vectors over all its param", lambda net: _stepped(torch.optim.LBFGS(net.parameters()), net)),
    "adafactor": (
        "Adafactor remembers 'row_var' of shape",
        lambda net: _stepped(torch.optim.Adafactor(net.parameters()), net),
    ),
    "flat": ("vectors over all its parameters", _for_all),
    "attribute": ("_Own keeps tensors in its attribute 'slow'", _with_attribute),
    "group": ("_Own keeps tensors in its groups under 'z'", _with_group),
    "rows": (
        r"remembers 'left' for '2.weight', which has its shape, but no value for each",
        lambda net: _remembering(net, "left", lambda own: torch.eye(len(own)) if own.dim() > 1 else None),
    ),
    "list": (
        "remembers 'both', a list, for",
        lambda net: _remembering(net, "both", lambda own: [torch.zeros(len(own), len(own))]),
    ),
    "object": ("'basis', a _Projector", lambda net: _remembering(net, "basis", lambda own: _Projector())),
    "sparse": ("as a Tensor", lambda net: _remembering(net, "m", lambda own: own.detach().to_sparse())),
}


@pytest.mark.parametrize("kind", _REFUSED)
def test_what_cannot_follow_is_refused_by_name_and_nothing_changes(kind: str) -> None:
    said, make = _REFUSED[kind]
    network = _network()
    optimizer = make(network)
    before = list(network.parameters())
    for edit in (Remove("2", (1,)), Mask("2.weight", torch.arange(64).view(8, 8) > 0)):
        with pytest.raises(SurgeryError, match=said):
            apply(network, optimizer, [edit], _X)
    assert all(now is own for now, own in zip(network.parameters(), before, strict=True))
    assert optimizer_parameters(optimizer) == ids(before)


def test_flat_vectors_hinder_whole_blocks_and_new_ones_too() -> None:
    network: Any = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Identity(), nn.Linear(4, 3)).double()
    optimizer = _stepped(torch.optim.LBFGS(network.parameters()), network)
    for edit in (RemoveBlock("1"), InsertBlock("2", _Nothing())):
        with pytest.raises(SurgeryError, match="vectors over all its parameters"):
            apply(network, optimizer, [edit], _X)
    assert isinstance(network[1], nn.Linear)


class _Nothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.gate = nn.Parameter(torch.zeros(4, 4)), nn.Parameter(torch.ones(()))
        self.undecayed = ("gate",)

    def forward(self, x: Tensor) -> Tensor:
        return x + x @ self.weight * self.gate


def test_flat_optimizers_are_taken_before_they_remember() -> None:
    network = _network()
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=3)
    apply(network, optimizer, [Remove("2", (1,))], _X)
    before = copy.deepcopy(network.state_dict())
    _stepped(optimizer, network)
    assert all(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_one_number_of_a_parameter_is_no_value_of_its_entries() -> None:
    network = _network()
    attach_gates(network, ["0"], 1.0)
    network.register_parameter("scale", nn.Parameter(torch.ones((), dtype=torch.float64)))
    optimizer = torch.optim.ASGD(network.parameters(), 0.1)
    network(_X).mul(network.scale).sum().backward()
    optimizer.step()
    state = {key: value.clone() for key, value in optimizer.state[network.scale].items()}
    apply(network, optimizer, [Mask("scale", torch.tensor(False))], _X)
    after = optimizer.state[network.scale]
    assert [after[key] for key in ("step", "eta", "mu")] == [state[key] for key in ("step", "eta", "mu")]
    assert after["ax"] == 0


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_gates_get_no_group_that_a_scheduler_would_not_know(decay: float) -> None:
    network: Any = nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.Linear(4, 3)).double()
    optimizer = SGD(network.parameters(), 0.1, weight_decay=decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    if decay:
        with pytest.raises(SurgeryError, match="needs a group without weight decay, and a scheduler counts"):
            apply(network, optimizer, [InsertBlock("1", _Nothing())], _X)
        return
    apply(network, optimizer, [InsertBlock("1", _Nothing())], _X)
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    train(network, optimizer, _X, 1)
    scheduler.step()
