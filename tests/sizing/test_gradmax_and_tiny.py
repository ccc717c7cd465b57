"""New units by decompositions: no random ones do better, by brute force."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.sizing.base import Situation
from harness.sizing.criteria.bottleneck import Bottleneck, bottleneck
from harness.sizing.criteria.joints import Joint, growable, joints
from harness.sizing.criteria.mixed import mixed_derivative
from harness.sizing.criteria.newcomers import extended, heard_by, in_pairs, inputs_of
from harness.sizing.methods.gradmax import GradMax
from harness.sizing.methods.tiny import Tiny
from harness.surgery import Widen, apply
from tests.sizing.growing_cases import FAMILIES, cell_of, network_of, situation

_SEEDS = st.integers(0, 10_000)
_COUNT = 4


def of(family: str, seed: int) -> tuple[Situation, dict[str, Joint]]:
    network = network_of(family, seed)
    now = situation(family, network, {"share": 1.0}, seed=seed)
    return now, joints(network, now.probe.part.x[:2])


def proposed(method: GradMax | Tiny, now: Situation, joint: Joint, count: int = _COUNT) -> Widen:
    [edit] = method.grown(now, joint, count)
    assert isinstance(edit, Widen)
    return edit


def widened(now: Situation, edit: Widen) -> nn.Module:
    after = copy.deepcopy(now.network)
    apply(after, None, [edit], now.probe.part.x[:2])
    return after


def gradient_norm(now: Situation, edit: Widen) -> float:
    """Of the whole widened network."""
    after = widened(now, edit)
    now.probe.loss(after, *next(now.probe.batches())).backward()
    return float(sum(own.grad.square().sum() for own in after.parameters() if own.grad is not None) ** 0.5)


def of_same_norms(edit: Widen, joint: Joint, seed: int) -> Widen:
    """Pairs that send in random directions, each at right angles to the others; in all with the same norm."""
    generator = torch.Generator().manual_seed(seed)
    [sent] = edit.outgoing.values()
    count = sent.shape[1]
    drawn = torch.randn(count // 2, len(sent), generator=generator, dtype=sent.dtype)
    both = in_pairs(torch.linalg.qr(drawn.T)[0].T, count, -1.0)
    both = both * (sent.norm() / both.norm())
    return joint.widen(edit.incoming, heard_by(joint, both), edit.incoming_bias)


@pytest.mark.parametrize("family", ["mlp", "tanh", "lenet5"])
def test_the_mixed_derivative_is_what_a_new_units_gradient_goes_by(family: str) -> None:
    now, found = of(family, 0)
    for layer in growable(cell_of(family)):
        joint = found[layer]
        mixed = mixed_derivative(now.network, joint, now.probe, *next(now.probe.batches()), offset=0.3)
        sends = torch.randn(1, len(mixed), generator=torch.Generator().manual_seed(1)).double()
        edit = joint.widen(
            torch.zeros_like(joint.weight[:1]).repeat(2, *[1] * (joint.weight.dim() - 1)),
            heard_by(joint, in_pairs(sends, 2, -1.0)),
            torch.full((2,), 0.3, dtype=torch.float64),
        )
        after = widened(now, edit)
        now.probe.loss(after, *next(now.probe.batches())).backward()
        weight, bias = (after.get_parameter(f"{layer}.{name}").grad for name in ("weight", "bias"))
        assert weight is not None
        assert bias is not None
        rows = torch.cat([weight[-2:].flatten(1), bias[-2:, None]], 1)
        assert (rows[0] - (sends @ mixed)[0]).abs().max() < 1e-10
        assert (rows[0] + rows[1]).abs().max() < 1e-10


@pytest.mark.parametrize(
    ("family", "zero"), [*((family, "incoming") for family in FAMILIES), ("mlp", "outgoing")]
)
def test_gradmax_leaves_the_output_as_it_is(family: str, zero: str) -> None:
    now, found = of(family, 0)
    edits = [
        proposed(GradMax(zero=zero), now, found[layer], (4, 1, 5)[number % 3])  # type: ignore[arg-type]
        for number, layer in enumerate(growable(cell_of(family)))
    ]
    after = copy.deepcopy(now.network)
    apply(after, None, edits, now.probe.part.x[:2])
    with torch.no_grad():
        assert (after(now.probe.part.x) - now.network(now.probe.part.x)).abs().max() < 1e-10


@settings(max_examples=12, deadline=None)
@given(seed=_SEEDS, draw=_SEEDS, count=st.sampled_from([2, 4, 6]), family=st.sampled_from(["mlp", "tanh"]))
def test_no_random_units_have_larger_gradients(seed: int, draw: int, count: int, family: str) -> None:
    """Of one norm in all, whatever the one pair; several, as long as they differ as GradMax's do: pairs that
    all send the same have larger gradients, and would stay the same for ever."""
    now, found = of(family, seed)
    for layer in ("hidden1", "hidden2"):
        edit = proposed(GradMax(), now, found[layer], count)
        other = of_same_norms(edit, found[layer], draw)
        assert gradient_norm(now, edit) >= gradient_norm(now, other) * (1 - 1e-9)


@settings(max_examples=100, deadline=None)
@given(seed=_SEEDS, draw=_SEEDS, inputs=st.integers(1, 6), outputs=st.integers(1, 6), count=st.integers(1, 4))
def test_no_random_pairs_that_send_as_much_lower_the_loss_more(
    seed: int, draw: int, inputs: int, outputs: int, count: int
) -> None:
    torch.manual_seed(seed)
    factor = torch.randn(inputs, inputs + 2).double()
    tight = Bottleneck(torch.randn(inputs, outputs).double(), factor @ factor.T)
    torch.manual_seed(draw)
    hears, sends, worth = tight.directions(count)
    best, other = hears.T @ sends, torch.randn(inputs, count).double() @ torch.randn(count, outputs).double()

    def power(sent: Tensor) -> Tensor:
        return (sent.T @ tight.heard @ sent).trace()

    other = other * (power(best) / power(other)).sqrt()
    decrease = (best * tight.wanted).sum()
    assert decrease >= (other * tight.wanted).sum() - 1e-9
    assert torch.isclose(decrease, worth.square().sum())


@pytest.mark.parametrize("family", ["mlp", "tanh"])
def test_the_bottleneck_is_what_the_loss_falls_by(family: str) -> None:
    """By new pairs, less what the reader's own weights would have done instead: to first order."""
    now, found = of(family, 3)
    (x, y), joint = next(now.probe.batches()), found["hidden2"]
    hears, sends, worth = bottleneck(now.network, joint, now.probe, x, y).directions(2)
    losses = []
    for size in (1e-3, -1e-3):
        pairs = heard_by(joint, in_pairs(sends * size, 4, -1.0))
        after = widened(now, joint.widen(in_pairs(hears * 1e-3, 4, -1.0), pairs))
        losses.append(float(now.probe.loss(after, x, y).detach()))
    slope = (losses[0] - losses[1]) / 2e-6
    heard: dict[str, Tensor] = inputs_of(now.network, {"hidden2": joint.module, **joint.readers}, {}, x)
    sent = heard["hidden2"] @ hears.T @ sends * (2 if family == "tanh" else 1)
    own = torch.cat([heard["output"], torch.ones(len(x), 1).double()], 1)
    instead = torch.linalg.lstsq(own, sent).solution
    now.probe.loss(now.network, x, y).backward()
    weight, bias = (now.network.get_parameter(f"output.{name}").grad for name in ("weight", "bias"))
    assert weight is not None
    assert bias is not None
    slope -= float((torch.cat([weight.T, bias[None]]) * instead).sum())
    assert slope == pytest.approx(-float(worth.square().sum()), rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_tiny_lowers_the_loss_or_leaves_it(family: str) -> None:
    now, found = of(family, 0)
    x, y = next(now.probe.batches())
    before = float(now.probe.loss(now.network, x, y).detach())
    lower = 0
    for number, layer in enumerate(growable(cell_of(family))):
        edit = proposed(Tiny(), now, found[layer], (4, 1, 5)[number % 3])
        outputs = torch.func.functional_call(now.network, extended(found[layer], edit), (x,))
        after = float(now.probe.criterion(outputs, y).detach())
        assert after < before + 1e-6
        lower += after < before - 1e-6
    assert lower
