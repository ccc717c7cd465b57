"""Deletion at the sizes of *Optimal Lobotomy*: a sine's network weight by weight, saliencies of VGG-16.

Timed is the processor's time of the process, because machines are shared; one thread.
"""

import resource
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.nn import functional

from harness.architectures.sine_mlp import SineMLP
from harness.architectures.vgg16 import VGG16
from harness.datasets import load_split
from harness.datasets.base import DatasetSpec, Part
from harness.objectives.classification import Classification
from harness.objectives.regression import Regression
from harness.search.space import Int
from harness.sizing.base import Cell, Schedule
from harness.sizing.criteria.candidates import candidates, places_of
from harness.sizing.criteria.saliency import saliencies
from harness.sizing.methods.obd import OBD
from harness.sizing.probe import Probe
from harness.training.journal import Journal
from harness.training.loop import Job, train
from harness.training.step import StepSettings

_SINE_SECONDS, _STEPS_A_PROBE, _GIGABYTES = 60.0, 6.0, 8.0
_IMAGES, _BATCH = 512, 64


def main() -> bool:
    """Print what both take; whether every bar holds."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    held = _sine()
    return _vgg() and held


def _sine() -> bool:
    """470 deletions on 481 weights without training, by differences of energies on 200 points."""
    split = load_split(DatasetSpec("sine", "sine"), None, validation_fraction=0.2, split_seed=0, device="cpu")
    method = OBD(
        per_step=1,
        retrain_epochs=0,
        estimator="energies",
        examples=200,
        remove_idle_units=False,
    )
    architecture, params = SineMLP(), {"amount": 470}
    bounds = {layer: Int(1, units) for layer, units in architecture.published.items()}
    cell = Cell(architecture, (1,), 1, bounds, architecture.published)
    torch.manual_seed(0)
    network, state = method.build(cell, params)
    job = Job(
        method=method,
        params=params,
        cell=cell,
        phases=method.phases(params, Schedule(5, 1e-3)),
        split=split,
        objective=Regression("mse"),
        batch_size=1000,
        step=StepSettings("Adam", {}),
        seeds={"init": 0, "order": 1, "method": 2},
        limit_seconds=3600.0,
    )
    journal, start = Journal(), time.process_time()
    train(job, network, state, journal, lambda epoch: None)
    seconds = time.process_time() - start
    gone = journal.epochs[0].size.nonzeros - journal.epochs[-1].size.nonzeros
    said = f"; {journal.stop_reason}" if journal.stop_reason else ""
    print(
        f"sine: {gone} of 481 weights one by one in {seconds:.1f} s, bar {_SINE_SECONDS:g} s{said}",
        flush=True,
    )
    return seconds <= _SINE_SECONDS


def _vgg() -> bool:
    """A vector of signs over 512 images against training steps on the same."""
    torch.manual_seed(0)
    network = VGG16().build((3, 32, 32), 10, VGG16().published).eval()
    images = torch.randn(_IMAGES, 3, 32, 32)
    labels = torch.randint(0, 10, (_IMAGES,))
    part = Part(images, labels)
    places = places_of(candidates(network, biases=True, norms=False))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0, fused=True)

    def steps() -> None:
        for x, y in zip(images.split(_BATCH), labels.split(_BATCH), strict=True):
            optimizer.zero_grad()
            functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    def probe() -> None:
        saliencies(
            network,
            places,
            Probe(part, _BATCH, Classification()),
            torch.Generator().manual_seed(0),
            estimator="hutchinson",
            examples=None,
            epsilon=1e-3,
            probes=1,
            negative="clip",
        )

    steps()
    stepping, probing = _median(steps), _median(probe)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    weights = sum(len(own) for own in places.values())
    print(
        f"vgg16, {weights:,} weights, {_IMAGES} images: a step {stepping:.1f} s, a probe {probing:.1f} s, "
        f"{probing / stepping:.2f} steps, bar {_STEPS_A_PROBE:g}; {gigabytes:.1f} GB, bar {_GIGABYTES:g}",
        flush=True,
    )
    return probing <= _STEPS_A_PROBE * stepping and gigabytes <= _GIGABYTES


def _median(run: Callable[[], None], repeats: int = 1) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return median(seconds)
