"""Random networks are cut exactly or refused in a sentence: no silent change, no traceback.

`HARNESS_NETWORKS=500 pytest tests/surgery/test_grammar.py` tries more of them (`make test-surgery`).
"""

import copy
import os
import traceback
from functools import partial

import pytest
import torch

from harness.surgery import SurgeryError
from tests.surgery.grammar import OPERATIONS, Plan, build, example, plan, source
from tests.surgery.trial import both_modes, change, cut, perturbed, train

_NETWORKS = int(os.environ.get("HARNESS_NETWORKS", "40"))
_TOLERANCE = 1e-10
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


def trial(own: Plan, seed: int) -> str | None:
    """What is wrong with how a network is cut; None if nothing is, or a part of a network is none itself."""
    torch.manual_seed(seed)
    try:
        network, x = build(source(own)), example(own.kind)
        before = both_modes(network, x)
    except Exception:  # noqa: BLE001
        return None
    if not any(True for _ in network.parameters()):
        return None
    if not all(bool(made.isfinite().all()) for mode in before for made in mode):
        return None
    try:
        done = cut(network, partial(torch.optim.SGD, lr=1e-3, momentum=0.9), x, steps=2, every=3)
        evaluation, training = done.change
        if done.receipt.exact_in_evaluation_only:
            training = 0.0
        worst = max(evaluation, training)
        if worst > _TOLERANCE and worst > _ROUNDING * _drift(done.full, x):
            return "silent: outputs change by {:.1e} in evaluation, {:.1e} in training mode".format(
                *done.change
            )
        train(done.small, done.small_optimizer, x, 1)
    except SurgeryError as error:
        return None if str(error) else "refused without a word"
    except Exception as error:  # noqa: BLE001
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"traceback: {type(error).__name__} in {place.name}: {error}"
    return None


def _drift(network: torch.nn.Module, x: torch.Tensor) -> float:
    """How far outputs move if all parameters are a last digit off."""
    moved = copy.deepcopy(network)
    perturbed(moved, 1e-15)
    return max(change(both_modes(network, x), both_modes(moved, x)))


def shrunk(own: Plan, seed: int, failure: str) -> Plan:
    """The network without all operations that its kind of failure does not take."""
    kind = failure.partition(":")[0]
    size = max(1, len(own.steps) // 2)
    while size:
        start = 0
        while start < len(own.steps):
            smaller = own.without(start, start + size)
            if (trial(smaller, seed) or "").partition(":")[0] == kind:
                own = smaller
            else:
                start += size
        size //= 2
    return own
