"""Every shipped network and method trains on a device without values, which shows what is read back when.

Nothing inside an epoch; at its end, all that the engine reads comes in one transfer.
"""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from harness import registry
from harness.datasets.base import DatasetFacts, Normalisation, Part, Split
from harness.objectives.base import Objective
from harness.objectives.classification import Classification
from harness.objectives.regression import Regression
from harness.search.samplers import draw_frozen
from harness.search.space import Int
from harness.sizing.base import Cell, Schedule, SizingMethod
from harness.sizing.methods.fixed import Fixed
from harness.training.journal import Journal
from harness.training.loop import train
from tests.training.small import a_job
from tests.training.transfers import Noted, watching_transfers

_EXAMPLES, _BATCH = 4, 2
#: The smallest examples that suit, where one pixel does not; and options that make a family small.
_SHAPES = {
    "alexnet": (1, 29, 29),
    "lenet5": (1, 16, 16),
    "mininet": (1, 10, 10),
    "mlp": (4,),
    "sine-mlp": (1,),
}
_OPTIONS: dict[str, dict[str, Any]] = {"resnet": {"depth": 8}}

#: Methods whose proposals depend on values: what they must read at the end of an epoch, in one transfer.
_READING = {"shrinknets": "which gates are dead"}
_GATES = {"sizing/gates/units.py:gates_on_host"}


def _data(family: str) -> tuple[Split, Objective]:
    """A part on the device that has none; targets are numbers for the sine, else classes."""
    shape, is_sine = _SHAPES.get(family, (1, 4, 4)), family == "sine-mlp"
    facts = DatasetFacts(family, shape, 1 if is_sine else 3, 2 * _EXAMPLES, _EXAMPLES, "f")
    with torch.device("meta"):
        y = torch.empty(_EXAMPLES, dtype=torch.float32 if is_sine else torch.int64)
        part = Part(torch.empty(_EXAMPLES, *shape), y)
    return Split(facts, Normalisation((0.0,), (1.0,)), part, part, part), (
        Regression() if is_sine else Classification()
    )


def _trained(family: str, method: SizingMethod) -> tuple[list[Noted], list[Noted]]:
    """What was read back in an epoch of two steps, and what was computed on the host."""
    split, objective = _data(family)
    architecture = registry.make_architecture(family, _OPTIONS.get(family, {}))
    layers = architecture.sized_layers
    bounds, start = dict.fromkeys(layers, Int(2, 3)), dict.fromkeys(layers, 3)
    cell = Cell(architecture, split.facts.example_shape, objective.outputs(split.facts), bounds, start)
    [params] = draw_frozen(method.space(cell), "RandomSampler", {}, 0, 1)
    with torch.device("meta"):
        network, state = method.build(cell, params)
    job = a_job(
        method,
        params=params,
        cell=cell,
        phases=method.phases(params, Schedule(1, 0.01)),
        split=split,
        objective=objective,
        batch_size=_BATCH,
        optimizer="RMSprop",  # torch has no fused steps on this device
    )
    reads: list[Noted] = []
    with watching_transfers() as seen:
        train(job, network, state, Journal(), lambda epoch: reads.extend(seen.reads))
    return reads, seen.on_host


@dataclass(frozen=True)
class Peeking(Fixed):
    def penalty(self, tensors: Any, numbers: Any) -> Any:
        return tensors["output.bias"].sum() * tensors["output.bias"].max().item()


def test_a_value_that_is_read_inside_an_epoch_is_seen() -> None:
    reads, _ = _trained("mlp", Peeking())
    steps = _EXAMPLES // _BATCH
    assert reads.count(Noted("_local_scalar_dense", "training/step.py:__call__")) == steps


# The others look at values to decide what goes: that is read back when they are asked, and nothing besides.
@pytest.mark.parametrize("method", ["fixed", "l2", "shrinknets", "no-removal", "gates-only"])
@pytest.mark.parametrize("family", sorted(registry.ARCHITECTURES))
def test_values_are_read_back_once_at_the_end_of_an_epoch(family: str, method: str) -> None:
    reads, on_host = _trained(family, registry.make_method(method, {}))
    assert [read for read in reads if read.place not in _GATES] == [
        Noted("_local_scalar_dense", "sizing/ledger/measure.py:measure"),  # of the start, before training
        Noted("copy", "training/loop.py:_close_epoch"),
    ]
    assert len([read for read in reads if read.place in _GATES]) == (method in _READING)
    # On the host: the order of examples, and what a method does with what it has read.
    places = {noted.place for noted in on_host if noted.room != "sizing"}
    assert places == {"training/loop.py:_batches"}
