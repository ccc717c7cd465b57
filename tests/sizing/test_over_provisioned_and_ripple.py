"""Capacity that is opened, and layers that are resized by how sensitive they are."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn

from harness.search.space import Choice, Float
from harness.sizing.base import Schedule, Situation
from harness.sizing.criteria.joints import joints
from harness.sizing.criteria.ripples import ripple, worth
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size
from harness.sizing.methods.over_provisioned import OverProvisioned
from harness.sizing.methods.ripple import Rippling
from harness.surgery import Edit, Mask, NetworkEdit, Remove, Unmask, Widen, apply
from harness.surgery.edits import NextPhase, Note, Stop
from tests.sizing.growing_cases import cell_of, examples, network_of, situation


def changes(edits: Sequence[Edit]) -> list[NetworkEdit]:
    return [edit for edit in edits if not isinstance(edit, NextPhase | Stop | Note)]


def carried_out(now: Situation, edits: Sequence[Edit]) -> nn.Module:
    after = copy.deepcopy(now.network)
    apply(after, None, changes(edits), examples("mlp")[0][:2])
    return after.eval()


def at(now: Situation, losses: Sequence[float]) -> Situation:
    """After epochs of these validation losses."""
    size = Size({}, 0, 0, 0)
    past = [Epoch(number, "grow", 0.0, loss, 0.0, size) for number, loss in enumerate(losses, 1)]
    return replace(now, history=tuple(past))


def open_units(network: nn.Module) -> int:
    return int((network.get_parameter("output.weight") != 0).any(0).sum())


def test_capacity_waits_at_zero_and_is_opened_in_stages() -> None:
    method, network = OverProvisioned(rounds=3), network_of("mlp", units=9)
    now = situation("mlp", network, {"share": 2 / 3})
    start = replace(now, moment=replace(now.moment, epoch=0, step=0, phase_ended=False, epoch_ended=False))
    state, edits = method.edits(start)
    shut = carried_out(start, edits)
    assert open_units(shut) == 3
    assert all(isinstance(edit, Mask) for edit in edits)
    for phase, sizes in enumerate(((4, 9), (6, 9), (7, 7))):
        now = replace(now, network=shut, state=state, moment=replace(now.moment, phase=phase))
        state, edits = method.edits(now)
        before, shut = shut, carried_out(now, edits)
        x = examples("mlp")[0]
        assert (shut(x) - before(x)).abs().max() < 1e-10, "what opens starts at zero"
        mask = dict(shut.named_buffers()).get("output.weight_mask")
        is_open = sizes[1] if mask is None else int(mask.any(0).sum())
        assert (is_open, len(shut.get_parameter("hidden2.weight"))) == sizes
        loss = torch.nn.functional.cross_entropy(shut(x), examples("mlp")[1])
        [slope] = torch.autograd.grad(loss, [shut.get_parameter("output.weight")])
        assert slope[:, : sizes[0]].abs().sum() > 0, "and is trained from then on"
    assert method.edits(replace(now, moment=replace(now.moment, phase=3)))[1] == ()


def test_by_validation_a_stage_opens_when_the_loss_has_stalled() -> None:
    method = OverProvisioned(by="validation", patience=2)
    now = situation("mlp", network_of("mlp", units=9), {"share": 1.0})
    now = replace(now, state={"stage": 0, "since": 0}, moment=replace(now.moment, phase_ended=False))
    assert method.edits(at(now, [3.0, 2.0, 1.0]))[1] == ()
    assert method.edits(at(now, [1.0, 2.0]))[1] == ()
    state, edits = method.edits(at(now, [1.0, 1.5, 1.2]))
    assert [type(edit) for edit in edits] == [Unmask, Unmask]
    assert state == {"stage": 1, "since": 3}
    least = method.reach(cell_of("mlp"), {"share": Float(0.5, 1)})
    assert least["hidden1"] == (3, 9)
    assert [p.selectable for p in method.phases({}, Schedule(8, 0.1))] == [False, True]
    with pytest.raises(ValueError, match="patience must be"):
        OverProvisioned(patience=0)


def test_the_ripple_is_the_change_downstream() -> None:
    now, (x, y) = situation("mlp", network_of("mlp"), {}), examples("mlp")
    layers = ("hidden1", "hidden2")
    found = ripple(
        now.network,
        layers,
        now.probe,
        x,
        y,
        epsilon=1e-4,
        draws=3,
        generator=torch.Generator().manual_seed(7),
    )
    generator, weight = torch.Generator().manual_seed(7), now.network.get_parameter("hidden1.weight")
    before = now.network[:4](x)  # type: ignore[index]
    losses, changes = [], []
    for _ in range(3):
        shaken = copy.deepcopy(now.network)
        drawn = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        shaken.get_parameter("hidden1.weight").data += 1e-4 * weight.square().mean().sqrt() * drawn
        losses.append((now.probe.loss(shaken, x, y) - now.probe.loss(now.network, x, y)).abs() / 1e-4)
        changes.append((shaken[:4](x) - before).norm() / before.norm())  # type: ignore[index]
    assert found["hidden1"].sensitivity == pytest.approx(float(torch.stack(losses).mean().detach()))
    assert found["hidden1"].changes == {"hidden2": pytest.approx(float(torch.stack(changes).mean().detach()))}
    assert found["hidden2"].changes == {}


def test_the_worth_of_a_unit_is_what_not_reading_it_costs_to_first_order() -> None:
    now, (x, y) = situation("mlp", network_of("mlp"), {}), examples("mlp")
    joint = joints(now.network, x[:2])["hidden1"]
    said = worth(now.network, joint, now.probe, x, y)
    for unit in range(3):
        less = copy.deepcopy(now.network)
        less.get_parameter("hidden2.weight").data[:, unit] *= 1 - 1e-6
        change = (now.probe.loss(less, x, y) - now.probe.loss(now.network, x, y)).detach() / 1e-6
        assert float(said[unit]) == pytest.approx(abs(float(change)), rel=1e-3, abs=1e-8)


def test_sensitive_layers_widen_and_others_narrow_within_bounds() -> None:
    network = network_of("mlp", units=6)
    with torch.no_grad():
        network.get_parameter("hidden1.weight").mul_(1e-3)
        network.get_parameter("hidden1.bias").fill_(1.0)
    now = situation("mlp", network, {"hi": 1.2, "lo": 0.8, "step": 0.25})
    now = at(replace(now, moment=replace(now.moment, phase_ended=False, epoch=2)), [1.0])
    state, edits = Rippling().edits(now)
    assert {type(edit): edit.layer for edit in edits if isinstance(edit, Widen | Remove)} == {
        Remove: "hidden1",
        Widen: "hidden2",
    }
    after = carried_out(now, edits)
    assert [len(after.get_parameter(f"hidden{n}.weight")) for n in (1, 2)] == [4, 8]
    worse = at(replace(now, state=state), [1.0, 1.1])
    assert changes(Rippling().edits(worse)[1]) == [], "neither is repeated where it did not help"
    assert changes(Rippling(tolerance=0.2).edits(worse)[1]) != []
    capped = replace(now, cell=cell_of("mlp", 6, 6))
    assert changes(Rippling().edits(capped)[1]) == []
    assert Rippling(period=3).edits(now)[1] == ()


def test_the_ripple_is_noted_whether_or_not_anything_is_changed() -> None:
    now = situation("mlp", network_of("mlp"), {"hi": 4.0, "lo": 0.0, "step": 0.25})
    now = at(replace(now, moment=replace(now.moment, phase_ended=False, epoch=2)), [1.0])
    first, second = Rippling().edits(now)[1]
    assert isinstance(first, Note)
    assert isinstance(second, Note)
    assert (first.about, list(first.numbers)) == ("hidden1", ["sensitivity", "change of hidden2"])
    assert (second.about, list(second.numbers)) == ("hidden2", ["sensitivity"])
    assert min(first.numbers.values()) > 0


def test_limits_that_cross_are_refused() -> None:
    space = {"hi": Float(1.5, 4), "lo": Float(0.1, 0.6), "step": Float(0.1, 0.25)}
    Rippling().check(cell_of("mlp"), space)
    with pytest.raises(ValueError, match="what is narrowed lies below"):
        Rippling().check(cell_of("mlp"), space | {"lo": Choice((0.5, 2))})
    with pytest.raises(ValueError, match=r"space\.step"):
        Rippling().check(cell_of("mlp"), space | {"step": Float(0, 0.2)})
    with pytest.raises(ValueError, match="both are 4"):
        Rippling().check(cell_of("mlp", 4, 4), space)
    for wrong in ({"start": 1.5}, {"epsilon": 0}, {"draws": 0}, {"tolerance": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Rippling(**wrong)
