"""Operations in place, through views and on what is kept in views: exact, or refused in a sentence."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import apply, trace
from tests.surgery.helpers import change, measure, removals, silence, some_classes

_EXACT = 1e-10
Body = Callable[["Written", Tensor], Tensor]


class Written(nn.Module):
    """Two layers over [batch, 8, positions], a buffer and a parameter of like width, and a reader."""

    seen: Tensor

    def __init__(self, body: Body, read: int = 8) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Conv1d(3, 8, 1), nn.Conv1d(3, 8, 1), nn.Linear(read, 2)
        self.register_buffer("seen", torch.zeros(8))
        self.factor = nn.Parameter(torch.linspace(0.5, 1.5, 8))
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.body(self, x))
        return out


def _sum_through_a_view(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    h.transpose(1, 2).add_(net.b(x).transpose(1, 2))
    return h.mean(2)


def _base_changed_after_a_view(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    flat = h.flatten(1)
    h.sigmoid_()
    return flat


def _view_of_a_view(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    kept = h.permute(2, 0, 1)
    h.view(h.shape[0], -1).sigmoid_()
    return kept.mean(0)


def _some_units(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    h[:, :3].mul_(2).add_(1)
    return h.mean(2)


def _one_unit(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    h[:, 0] = 0
    return h.mean(2)


def _some_positions(net: Written, x: Tensor) -> Tensor:
    h, g = net.a(x), net.b(x)
    h[:, :, 1:3].copy_(g[:, :, :2])
    return h.sigmoid().mean(2)


def _a_number_at_some_positions(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    h[..., 0] = 0
    return h.sum(2)


def _relu_of_a_part(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    first, second = h[:, :4], h[:, 4:]
    torch.relu_(first)
    second.add_(first)
    return h.mean(2)


def _copied_over(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    view = h.transpose(1, 2)
    h.copy_(net.b(x).sigmoid())
    return view.mean(1)


def _index_put(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    view = h.transpose(1, 2)
    h.index_put_((torch.tensor([0]),), torch.ones(8, h.shape[2], dtype=h.dtype))
    return view.mean(1)


def _into_another(net: Written, x: Tensor) -> Tensor:
    with torch.no_grad():
        h, g = net.a(x), net.b(x)
        view = h.transpose(1, 2)
        torch.add(g, 1, out=h)
    return view.mean(1)


def _gathered_in_a_buffer(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    made = torch.zeros_like(h)
    made[:, :, 1:] = h[:, :, :-1]
    return made.sigmoid().mean(2)


def _gathered_in_a_tensor_of_fixed_size(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    made = torch.zeros(h.shape[0], 8, 2, dtype=h.dtype)
    made[:, :, 0] = h.mean(2)
    made[:, :, 1] = net.b(x).mean(2)
    return made.flatten(1)


def _columns_beside_each_other(net: Written, x: Tensor) -> Tensor:
    made = torch.empty(x.shape[0], 16, dtype=x.dtype)
    made[:, :8] = net.a(x).mean(2)
    made[:, 8:] = net.b(x).mean(2)
    return made


def _shape_changed_in_place(net: Written, x: Tensor) -> Tensor:
    h = net.a(x).mean(2, keepdim=True)
    h.unsqueeze_(0).transpose_(1, 2)
    return h.squeeze_().t_()


def _buffer_of_units(net: Written, x: Tensor) -> Tensor:
    h = net.a(x).sigmoid()
    net.seen.mul_(0.9).add_(h.detach().mean((0, 2)), alpha=0.1)
    return (h - net.seen[:, None]).mean(2)


def _buffer_shifted_before_it_is_read(net: Written, x: Tensor) -> Tensor:
    net.seen.add_(1)
    return (net.a(x) + net.seen[:, None]).sigmoid().mean(2)


def _shared_with_numpy(net: Written, x: Tensor) -> Tensor:
    h = net.a(x)
    view = torch.from_numpy(h.detach().numpy())
    view.add_(net.b(x).detach())
    return h.mean(2)


def _weight_changed(net: Written, x: Tensor) -> Tensor:
    net.factor.data.clamp_(0.6, 1.4)
    return (net.a(x) * net.factor[:, None] + 0.1).sigmoid().mean(2)


def _accumulated(net: Written, x: Tensor) -> Tensor:
    made = torch.zeros_like(net.a(x))
    for layer in (net.a, net.b):
        made += layer(x)
    return made.relu_().mean(2)


def _temporary_changed_after_its_use(net: Written, x: Tensor) -> Tensor:
    shift = net.seen + 0.5
    h = (net.a(x) + shift[:, None]).sigmoid()
    shift.mul_(3)
    return h.mean(2)


_BODIES: dict[str, tuple[Body, int]] = {
    body.__name__.strip("_"): (body, read)
    for body, read in (
        (_sum_through_a_view, 8),
        (_base_changed_after_a_view, 40),
        (_view_of_a_view, 8),
        (_some_units, 8),
        (_one_unit, 8),
        (_some_positions, 8),
        (_a_number_at_some_positions, 8),
        (_relu_of_a_part, 8),
        (_copied_over, 8),
        (_index_put, 8),
        (_into_another, 8),
        (_gathered_in_a_buffer, 8),
        (_gathered_in_a_tensor_of_fixed_size, 16),
        (_columns_beside_each_other, 16),
        (_shape_changed_in_place, 8),
        (_buffer_of_units, 8),
        (_buffer_shifted_before_it_is_read, 8),
        (_shared_with_numpy, 8),
        (_weight_changed, 8),
        (_accumulated, 8),
        (_temporary_changed_after_its_use, 8),
    )
}
#: Where marks must follow: units can go.
_FOLLOWED = (
    "sum_through_a_view",
    "base_changed_after_a_view",
    "view_of_a_view",
    "some_positions",
    "a_number_at_some_positions",
    "copied_over",
    "into_another",
    "gathered_in_a_buffer",
    "accumulated",
    "shape_changed_in_place",
)


@pytest.mark.parametrize("name", _BODIES)
@torch.no_grad()
def test_marks_follow_what_is_written_through_views(name: str) -> None:
    torch.manual_seed(0)
    body, read = _BODIES[name]
    network = Written(body, read).double()
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    structure = trace(network, x)
    classes = some_classes(structure)
    for layer in (network.a, network.b):
        # Units of one number: silent, but other than zero.
        layer.get_parameter("bias").add_(1)
    silence(network, structure, classes)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    before = measure(network, x)
    network.load_state_dict(state)
    receipt = apply(network, None, removals(structure, classes), x)
    assert max(change(before, measure(network, x))) <= _EXACT
    assert not (name in _FOLLOWED and receipt.refused)
    assert bool(receipt.removed) or name not in _FOLLOWED
