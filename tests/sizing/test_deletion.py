"""Methods that delete single weights: how many go, when, and what becomes of what is left."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from harness.architectures.vgg16 import VGG16
from harness.objectives.classification import Classification
from harness.search.space import Choice, Domain, Float, Int
from harness.sizing.amounts import gone_after, steps_to
from harness.sizing.base import Cell, Schedule
from harness.sizing.criteria.candidates import candidates, places_of
from harness.sizing.criteria.saliency import saliencies
from harness.sizing.deletion import Deleting
from harness.sizing.methods.obd import OBD
from harness.sizing.methods.obs import OBS
from harness.sizing.methods.threshold import Threshold
from harness.sizing.methods.threshold_obd import ThresholdOBD
from harness.sizing.methods.top_k import TopK
from harness.sizing.probe import Probe
from harness.surgery.masking import masks_of
from harness.training.journal import TrialEndedError
from tests.training.small import CELL, Trained, a_job, a_split, trained

WEIGHTS = 5 * 4 + 3 * 5  # of CELL: 4 features, 5 units, 3 classes
BIASES = 5 + 3


def run(method: Deleting, params: dict[str, Any], epochs: int = 2, **changes: Any) -> Trained:
    phases = method.phases(params, Schedule(epochs, 0.1))
    return trained(a_job(method, params=params, phases=phases, **changes))


def masked(network: nn.Module) -> int:
    return sum(int((~mask).sum()) for module in network.modules() for _, _, mask in masks_of(module))


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize(("amount", "gone"), [(11, 11), (0.4, 14), (0.0, 0)])
def test_top_k_deletes_exactly_k(amount: float, gone: int, scope: Any) -> None:
    left = run(TopK(scope=scope, remove_idle_units=False), {"amount": amount})
    assert left.error is None
    assert masked(left.network) == gone
    assert left.journal.epochs[-1].size.nonzeros == WEIGHTS + BIASES - gone
    if scope == "layer" and amount == 0.4:
        assert [event.account["masked"] for event in left.journal.events] == [
            {"hidden1.weight": 8, "output.weight": 6}
        ]


def test_masks_survive_momentum_and_weight_decay() -> None:
    method = TopK(remove_idle_units=False, retrain_epochs=4, weight_decay=0.1, biases=True)
    left = run(method, {"amount": 0.5}, optimizer_options={"momentum": 0.9})
    sizes = [epoch.size.nonzeros for epoch in left.journal.epochs]
    assert sizes[:2] == [WEIGHTS + BIASES] * 2
    assert sizes[2:] == [WEIGHTS + BIASES - masked(left.network)] * 5
    assert masked(left.network) == round((WEIGHTS + BIASES) / 2)


def test_k_by_threshold_and_by_count_delete_the_same() -> None:
    bound = 0.25
    first = run(Threshold(remove_idle_units=False), {"threshold": bound})
    second = run(TopK(remove_idle_units=False), {"amount": masked(first.network)})
    assert masked(first.network) > 5
    for ours, theirs in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_rounds_end_at_the_same_count_and_are_measured_before_and_after_training() -> None:
    method = TopK(steps=3, remove_idle_units=False, retrain_epochs=1, retrain_steps=2)
    left = run(method, {"amount": 20})
    epochs = left.journal.epochs
    assert [epoch.phase for epoch in epochs] == ["train"] * 2 + ["delete", "retrain"] * 3
    assert [epoch.step for epoch in epochs] == [3, 6, 6, 8, 8, 10, 10, 12]
    gone = [WEIGHTS + BIASES - epoch.size.nonzeros for epoch in epochs]
    assert gone == [0, 0, 7, 7, 13, 13, 20, 20]
    assert left.journal.selected is not None
    assert left.journal.selected.epoch == 8, "only what is left at the end may be selected"


def test_without_training_in_between_nothing_moves_but_the_deleted() -> None:
    left = run(TopK(steps=4, remove_idle_units=False, retrain_epochs=0), {"amount": 20})
    assert [epoch.phase for epoch in left.journal.epochs] == ["train"] * 2 + ["delete"] * 4
    assert {epoch.step for epoch in left.journal.epochs[1:]} == {6}
    one = run(TopK(remove_idle_units=False, retrain_epochs=0), {"amount": 20})
    for ours, theirs in zip(left.network.parameters(), one.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_training_may_wait_until_the_last_round() -> None:
    left = run(TopK(steps=3, remove_idle_units=False, retrain_epochs=2, retrain_after="last"), {"amount": 20})
    assert [epoch.phase for epoch in left.journal.epochs] == ["train"] * 2 + ["delete"] * 3 + ["retrain"] * 2
    assert [epoch.step for epoch in left.journal.epochs] == [3, 6, 6, 6, 6, 9, 12]
    assert left.journal.selected is not None
    assert left.journal.selected.epoch in (6, 7)
    halted = run(Threshold(steps=9, retrain_after="last"), {"threshold": 1e6})
    assert [epoch.phase for epoch in halted.journal.epochs] == ["train"] * 2 + ["delete", "retrain"]


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_threshold_in_units_of_sigma_keeps_the_sigma_it_began_with(scope: Any) -> None:
    once, rising = (
        run(
            Threshold(unit="sigma", scope=scope, steps=steps, remove_idle_units=False, retrain_epochs=0),
            {"threshold": 0.6},
        )
        for steps in (1, 5)
    )
    assert masked(once.network) == masked(rising.network)
    whole = run(TopK(retrain_epochs=0), {"amount": 0.0}).network
    weights = {name: own.detach() for name, own in whole.named_parameters() if name.endswith("weight")}
    together = torch.cat([own.flatten() for own in weights.values()]).std(correction=0)
    expected = 0
    for own in weights.values():
        sigma = own.std(correction=0) if scope == "layer" else together
        expected += int((own.abs() < 0.6 * sigma).sum())
    assert masked(once.network) == expected > 3


def test_idle_units_go_without_a_change_of_what_the_network_says() -> None:
    cell = replace(CELL, start={"hidden1": 40})
    params = {"amount": 0.9}
    swept, kept = (
        run(TopK(steps=6, retrain_epochs=0, remove_idle_units=remove), params, cell=cell)
        for remove in (True, False)
    )
    assert swept.error is kept.error is None
    assert swept.units[-1] < 40
    assert kept.units[-1] == 40
    first = swept.journal.epochs[2:6]
    # The same weights go as long as no unit took some along.
    for ours, theirs in zip(first, kept.journal.epochs[2:6], strict=True):
        if ours.size.units == theirs.size.units:
            assert ours.val_loss == theirs.val_loss
    last = swept.journal.epochs[-1].size
    assert last.nonzeros <= kept.journal.epochs[-1].size.nonzeros
    assert last.macs < kept.journal.epochs[-1].size.macs
    assert last.parameters < kept.journal.epochs[-1].size.parameters


def test_a_removal_changes_no_score() -> None:
    cell = replace(CELL, start={"hidden1": 40})
    swept, kept = (
        run(TopK(retrain_epochs=0, remove_idle_units=remove), {"amount": 0.5}, cell=cell)
        for remove in (True, False)
    )
    assert swept.units[-1] < 40
    assert swept.journal.epochs[-1].val_loss == pytest.approx(kept.journal.epochs[-1].val_loss, rel=1e-5)


def test_what_would_cut_the_network_off_is_left_undone_or_is_a_collapse() -> None:
    halted = run(TopK(steps=10), {"amount": WEIGHTS - 1})
    assert halted.error is None
    assert halted.journal.stop_reason == "deleting more would have cut the output off from the input"
    assert halted.journal.selected is not None
    assert halted.journal.epochs[-1].size.nonzeros > 1
    assert len(halted.journal.epochs) == 2 + 20, "it is trained on as planned"
    bare = run(Threshold(steps=10, retrain_epochs=0), {"threshold": 1e6})
    assert bare.error is None
    assert bare.journal.selected is not None
    assert [epoch.phase for epoch in bare.journal.epochs] == ["train"] * 2 + ["delete"] * 2, (
        "it goes on at once"
    )
    assert bare.journal.selected.epoch == 4
    assert masked(bare.network) == 0
    for retrain_epochs in (0, 1):
        method = TopK(steps=10, retrain_epochs=retrain_epochs, when_cut_off="collapse")
        collapsed = run(method, {"amount": WEIGHTS - 1})
        assert isinstance(collapsed.error, TrialEndedError)
        assert collapsed.error.status == "collapsed"
    everything = run(Threshold(when_cut_off="collapse"), {"threshold": 1e6})
    assert isinstance(everything.error, TrialEndedError)
    assert everything.error.status == "collapsed"


def test_obd_deletes_one_by_one_and_its_curve_is_in_the_epochs() -> None:
    method = OBD(per_step=1, retrain_epochs=0, remove_idle_units=False, estimator="gradients", examples=8)
    left = run(method, {"amount": 9})
    sizes = [epoch.size.nonzeros for epoch in left.journal.epochs]
    assert sizes == [43, 43, *range(42, 33, -1)]
    losses = [epoch.val_loss for epoch in left.journal.epochs]
    assert all(loss is not None for loss in losses)


def test_obd_takes_the_weight_of_least_saliency() -> None:
    whole = run(TopK(retrain_epochs=0), {"amount": 0.0}, epochs=20).network.eval()
    options: dict[str, Any] = {"estimator": "gradients", "examples": None, "negative": "absolute"}
    probe = Probe(a_split().train, 8, Classification())
    places = places_of(candidates(whole, biases=True, norms=False))
    scores = saliencies(whole, places, probe, torch.Generator(), epsilon=1e-3, probes=1, **options)
    least = min(scores, key=lambda name: float(scores[name].min()))
    one = run(OBD(per_step=1, retrain_epochs=0, remove_idle_units=False, **options), {"amount": 1}, epochs=20)
    assert one.journal.events[0].account["masked"] == {least: 1}
    gone = (one.network.get_parameter(least).flatten() == 0).nonzero().flatten()
    assert gone.tolist() == [int(scores[least].argmin())]


@pytest.mark.parametrize("hessian", ["exact", "gauss-newton"])
def test_obs_moves_the_weights_that_stay(hessian: Any) -> None:
    method = OBS(per_step=15, retrain_epochs=0, remove_idle_units=False, hessian=hessian)
    left = run(method, {"amount": 15})
    assert left.error is None
    assert masked(left.network) == 15
    assert sum(left.journal.events[0].account["assigned"].values()) == WEIGHTS + BIASES
    assert left.journal.epochs[-1].size.nonzeros == WEIGHTS + BIASES - 15
    whole = run(TopK(retrain_epochs=0), {"amount": 0.0}).network
    for ours, theirs in zip(left.network.parameters(), whole.parameters(), strict=True):
        assert not torch.equal(ours, theirs)


def test_threshold_obd_deletes_the_small_first_and_the_rest_by_saliency() -> None:
    method = ThresholdOBD(per_step=4, retrain_epochs=0, remove_idle_units=False)
    left = run(method, {"first": 20, "amount": 30})
    assert method.rounds({"first": 20, "amount": 30}) == 4
    assert [43 - epoch.size.nonzeros for epoch in left.journal.epochs] == [0, 0, 20, 24, 28, 30]
    small = run(TopK(biases=True, retrain_epochs=0, remove_idle_units=False), {"amount": 20})
    assert left.journal.epochs[2].val_loss == small.journal.epochs[2].val_loss


@pytest.mark.parametrize(
    ("amount", "per_step", "counts"),
    [(10, 4, [4, 8, 10]), (0.5, 0.2, [8, 16, 20]), (1, 1, [1]), (0.0, 0.1, [0]), (0.3, 0.1, [4, 8, 12])],
)
def test_steps_to_an_amount(amount: float, per_step: float, counts: list[int]) -> None:
    assert steps_to(amount, per_step) == len(counts)
    assert [gone_after(n + 1, amount, per_step, 40) for n in range(len(counts))] == counts


VGG = Cell(VGG16(), (3, 32, 32), 10, {}, VGG16().published)


@pytest.mark.parametrize(
    ("method", "cell", "space", "message"),
    [
        (TopK(), CELL, {"amount": Choice((35,))}, "35 weights cannot be deleted, because there are 35"),
        (TopK(), CELL, {"amount": Int(1, 500)}, "500 weights cannot be deleted"),
        (TopK(), CELL, {"amount": Float(0.5, 1.0)}, "a range of real numbers is one of shares"),
        (TopK(), CELL, {"amount": Choice((1.5,))}, "a share from 0 to below 1, or a whole number"),
        (TopK(), CELL, {"amount": Choice((-0.5,))}, "a share from 0 to below 1, or a whole number"),
        (TopK(), CELL, {"amount": Choice(("half",))}, "only numbers can be chosen from here, found 'half'"),
        (Threshold(), CELL, {"threshold": Float(-1.0, 1.0)}, "must not be negative, found -1"),
        (OBD(), CELL, {"amount": Choice((10,))}, "per_step is a share, 0.25, and space.amount is not"),
        (OBD(per_step=2), CELL, {"amount": Float(0.1, 0.5)}, "per_step is a number of weights, 2, and"),
        (
            OBS(),
            VGG,
            {"amount": Float(0.1, 0.5)},
            "starts with 14,9.* weights, whose inverse Hessian would take",
        ),
        (OBS(), CELL, {"amount": Choice((43,))}, "43 weights cannot be deleted"),
        (
            ThresholdOBD(),
            CELL,
            {"first": Choice((99,)), "amount": Float(0.1, 0.5)},
            "space.first: 99 weights",
        ),
    ],
)
def test_what_cannot_be_deleted_is_refused_in_the_plan(
    method: Deleting, cell: Cell, space: Mapping[str, Domain], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        method.check(cell, space)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (TopK, {"steps": 0}, "steps must be at least 1"),
        (Threshold, {"scope": "layer"}, "scope: layer needs unit: sigma"),
        (OBD, {"per_step": 1.5}, "a share from 0 to below 1, or a whole number"),
        (OBD, {"per_step": 0}, "per_step must be above 0"),
        (OBD, {"epsilon": 0.0}, "epsilon must be above 0"),
        (OBD, {"probes": 0}, "probes must be at least 1"),
        (OBS, {"damping": 0.0}, "damping must be above 0 and below 1"),
        (TopK, {"retrain_epochs": -1}, "retrain_epochs must not be negative"),
        (TopK, {"retrain_steps": 0}, "retrain_steps must be at least 1"),
        (TopK, {"weight_decay": -1.0}, "weight_decay must be a number from 0 up"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    method: type[Deleting], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        method(**options)
