"""Training with augmentation, and on examples that are made on demand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from harness.architectures.mlp import MLP
from harness.datasets.augmentation import Augmentation, Batch, Crop, Cutout, Flip, Mixup
from harness.datasets.base import DatasetFacts, Normalisation, Part, Split
from harness.datasets.on_demand import OnDemand
from harness.search.space import Int
from harness.sizing.base import Cell, Phase, Situation
from harness.surgery.edits import NextPhase
from tests.training.small import Scripted, a_job, trained

SHAPE, EXAMPLES, BATCH = (2, 6, 5), 20, 8
CELL = Cell(MLP(hidden_layers=1), SHAPE, 3, {"hidden1": Int(1, 9)}, {"hidden1": 5})
ALL = Augmentation((Crop(2), Flip(), Cutout(2), Mixup(0.4)))
CPU = torch.device("cpu")
MEAN, STD = (99.0, 120.0), (70.0, 9.0)


def a_split() -> Split:
    def part(count: int) -> Part:
        generator = torch.Generator().manual_seed(count)
        values = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=generator)
        mean, std = (torch.tensor(by, dtype=torch.float64).view(1, 2, 1, 1) for by in (MEAN, STD))
        x = OnDemand(values, CPU, None, mean, std)
        return Part(x, torch.randint(0, 3, (count,), generator=generator))

    facts = DatasetFacts("small", SHAPE, 3, EXAMPLES + 12, 10, "f")
    return Split(facts, Normalisation(MEAN, STD), part(EXAMPLES), part(12), part(10))


def normalised_at_once(split: Split) -> Split:
    train, validation, test = (
        Part(part.x[:], part.y) for part in (split.train, split.validation, split.test)
    )
    return replace(split, train=train, validation=validation, test=test)


def job(plan: Sequence[Phase] = (Phase(2, 0.1),), **changes: Any) -> Any:
    method = changes.pop("method", Scripted(plan=plan))
    fields = {"cell": CELL, "split": a_split(), "augmentation": ALL, "batch_size": BATCH}
    return a_job(method, **fields | changes)


def seen_by_networks(of: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Batches that the network was given in training mode, and in evaluation mode."""
    found: tuple[list[Tensor], list[Tensor]] = ([], [])

    def watch(network: nn.Module) -> None:
        network.register_forward_pre_hook(
            lambda module, args: found[0 if module.training else 1].append(args[0].clone())
        )

    assert trained(of, watch).error is None
    return found


def expected(passes: int, seed: int = 1) -> list[Tensor]:
    """Every batch of so many passes, from the order generator alone."""
    part, generator = a_split().train, torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(passes):
        order = torch.randperm(EXAMPLES, generator=generator)
        draws = ALL.draw(EXAMPLES, SHAPE, generator, CPU)
        for start in range(0, EXAMPLES, BATCH):
            chosen = order[start : start + BATCH]
            batches.append(ALL.apply(Batch(part.x[chosen], part.y[chosen]), draws, start).x)
    return batches


def equal(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    return len(found) == len(wanted) and all(map(torch.equal, found, wanted))


def test_training_sees_augmented_examples_and_nothing_else_does() -> None:
    trained_on, evaluated_on = seen_by_networks(job())
    assert equal(trained_on, expected(2))
    parts = [part.x[:] for part in (a_split().validation, a_split().validation, a_split().test)]
    assert equal([x for x in evaluated_on if len(x) > 1], parts)
    probed: list[Tensor] = []

    def look(now: Situation) -> Sequence[Any]:
        probed.extend(x for x, _ in now.probe.batches(99))
        return ()

    seen_by_networks(job(method=Scripted(plan=(Phase(1, 0.1),), propose=look)))
    assert equal(probed, [a_split().train.x[:]] * 2)


def test_arms_that_share_an_order_seed_see_the_same_whatever_they_do() -> None:
    # This one leaves its first pass after a step, and its second after two.
    early = Scripted(
        plan=(Phase(1, 0.1, edit_every_steps=1), Phase(1, 0.05, steps_per_epoch=2), Phase(1, 0.1)),
        propose=lambda now: [NextPhase()] if now.moment.step == 1 and not now.moment.epoch_ended else (),
    )
    wanted = expected(3)
    left = seen_by_networks(job(method=early))[0]
    assert equal(left, [*wanted[:1], *wanted[3:5], *wanted[6:9]])


def test_where_examples_are_kept_changes_no_number() -> None:
    for augmentation in (None, ALL):
        lazy = trained(job(augmentation=augmentation))
        whole = trained(job(augmentation=augmentation, split=normalised_at_once(a_split())))
        assert lazy.error is None
        assert [epoch.outcome() for epoch in lazy.journal.epochs] == [
            epoch.outcome() for epoch in whole.journal.epochs
        ]
        assert lazy.journal.test_score == whole.journal.test_score


def test_without_augmentation_the_order_is_as_it_always_was() -> None:
    generator = torch.Generator().manual_seed(1)
    orders = [torch.randperm(EXAMPLES, generator=generator) for _ in range(2)]
    x = a_split().train.x
    wanted = [x[order[start : start + BATCH]] for order in orders for start in range(0, EXAMPLES, BATCH)]
    assert equal(seen_by_networks(job(augmentation=None))[0], wanted)
