"""Random networks are cut exactly or refused in a sentence: no silent change, no traceback.

`HARNESS_NETWORKS=500` tries more of them (`make test-surgery`).
"""

import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from harness.sizing.gates import attach_gates, fold_gates, places_for_gates
from harness.surgery import SurgeryError, trace
from tests.surgery.grammar import OPERATIONS, Plan, build, example, plan, source
from tests.surgery.trial import (
    Modes,
    both_modes,
    change,
    clone,
    cut,
    hold,
    is_normalised,
    perturbed,
    tensors_in,
    train,
)
from tests.surgery.zoo import call

_NETWORKS = int(os.environ.get("HARNESS_NETWORKS", "40"))
_TOLERANCE = 1e-10
#: How far training may lead from the network that is masked.
_ALONG = 1e-6
#: How much larger than the change by a perturbation of 1e-15 a change by other rounding may be.
_ROUNDING = 1e3


@pytest.mark.parametrize("seed", range(_NETWORKS))
def test_random_networks_are_cut_exactly_or_refused(seed: int) -> None:
    own = plan(seed)
    build(source(own))(example(own.kind))
    failure = trial(own, seed)
    if failure is not None:
        smallest = shrunk(own, seed, failure)
        pytest.fail(f"seed {seed}: {trial(smallest, seed)}\n{source(smallest)}", pytrace=False)


def test_the_grammar_knows_more_than_thirty_operations_and_uses_them_all() -> None:
    used = {step.name for seed in range(500) for step in plan(seed).steps}
    assert used == OPERATIONS.keys()
    assert len(used) >= 30


@pytest.mark.parametrize("seed", range(_NETWORKS))
def test_gates_of_random_networks_fold_exactly(seed: int) -> None:
    own = plan(seed)
    if (failure := trial_of_gates(own, seed)) is not None:
        smallest = shrunk(own, seed, failure, trial_of_gates)
        pytest.fail(f"seed {seed}: {trial_of_gates(smallest, seed)}\n{source(smallest)}", pytrace=False)


def _made(own: Plan, seed: int) -> tuple[nn.Module, Tensor] | None:
    """A network and an example; None where a part of a network is none itself, or gives no numbers."""
    torch.manual_seed(seed)
    try:
        network, x = build(source(own)), example(own.kind)
        given = both_modes(network, x)
    except Exception:  # noqa: BLE001
        return None
    return (network, x) if _is_finite(given) and any(True for _ in network.parameters()) else None


def trial(own: Plan, seed: int) -> str | None:
    """What is wrong with how a network is cut; None if nothing is."""
    made = _made(own, seed)
    if made is None:
        return None
    network, x = made
    optimizer = (
        partial(torch.optim.SGD, lr=1e-3, momentum=0.9) if seed % 2 else partial(torch.optim.Adam, lr=1e-3)
    )
    try:
        done = cut(network, optimizer, x, steps=2, every=3)
        if not _is_finite(both_modes(done.full, x)):  # e.g. a silent row divided by its length
            return None
        evaluation, training = done.change
        if done.receipt.exact_in_evaluation_only:
            training = 0.0
        moved, moved_own = clone(done.full, done.full_optimizer, optimizer)
        perturbed(moved, 1e-15)
        worst = max(evaluation, training)
        if worst > _TOLERANCE and worst > _ROUNDING * _between(done.full, moved, x):
            return "silent: outputs change by {:.1e} in evaluation, {:.1e} in training mode".format(
                *done.change
            )
        for each, memory in (
            (done.full, done.full_optimizer),
            (moved, moved_own),
            (done.small, done.small_optimizer),
        ):
            train(each, memory, x, 2, partial(hold, each, {} if each is done.small else done.zeroed))
        if done.receipt.folded or not done.classes or is_normalised(done.small):
            return None
        worst = _between(done.full, done.small, x)
        if worst > _ALONG and worst > _ROUNDING * _between(done.full, moved, x):
            return f"strays: after two steps {worst:.1e} from the network that is masked"
    except SurgeryError as error:
        return None if str(error) else "refused without a word"
    except Exception as error:  # noqa: BLE001
        return _traceback(error)
    return None


def trial_of_gates(own: Plan, seed: int) -> str | None:
    """What is wrong with gates on all that may be cut; None if nothing is.

    Networks that lend a layer another weight for a call are left out: that it was read from a gated layer,
    and so is multiplied already, cannot be told from the weight.
    """
    made = _made(own, seed)
    if made is None or "functional_call(" in source(own):
        return None
    network, x = made
    try:
        structure = trace(network, x)
        free = [layer for group in structure.groups if group.refused is None for layer in group.layers]
        for place in dict.fromkeys(places_for_gates(free, structure.norms)):
            with suppress(ValueError):  # a layer that takes no gates
                attach_gates(network, [place])
        before = both_modes(network, x)
        with torch.enable_grad():
            given = tensors_in(call(network.eval(), x))
        seen = change((before[0], []), ([made.detach() for made in given], []))[0]
        if seen > _TOLERANCE:
            return f"gates: with gradients evaluation is {seen:.1e} from what it is without"
        try:
            fold_gates(network)
        except ValueError:  # a normalisation that has nothing to fold into
            return None
        worst = max(change(before, both_modes(network, x)))
        if worst > _TOLERANCE:
            return f"gates: folding them changes outputs by {worst:.1e}"
    except SurgeryError:
        return None
    except Exception as error:  # noqa: BLE001
        return _traceback(error)
    return None


def _is_finite(given: Modes) -> bool:
    return all(bool(made.isfinite().all()) for mode in given for made in mode)


def _traceback(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"traceback: {type(error).__name__} in {place.name}: {error}"


def _between(one: nn.Module, other: nn.Module, x: Tensor) -> float:
    return max(change(both_modes(one, x), both_modes(other, x)))


def shrunk(own: Plan, seed: int, failure: str, fails: Callable[[Plan, int], str | None] = trial) -> Plan:
    """The network without all operations that its kind of failure does not take."""
    kind = failure.partition(":")[0]
    size = max(1, len(own.steps) // 2)
    while size:
        start = 0
        while start < len(own.steps):
            smaller = own.without(start, start + size)
            if (fails(smaller, seed) or "").partition(":")[0] == kind:
                own = smaller
            else:
                start += size
        size //= 2
    return own
