"""What a process shares is after a trial as it was before."""

import os
import random

import numpy as np
import torch

from harness.training.surroundings import changes_since, kept, seed_all, settings
from tests.runs.executors.faulty import set_everything


def test_whatever_is_set_is_named_and_set_back() -> None:
    before = settings()
    with kept():
        set_everything()
        changed = changes_since(before)
    assert len(changed) >= 10
    assert {"torch's default type", "environment variables", "filters of warnings"} <= set(changed)
    assert changes_since(before) == []
    assert "SET_BY_A_METHOD" not in os.environ


def test_generators_go_on_where_they_were() -> None:
    def draws() -> tuple[float, float, float]:
        return torch.rand(()).item(), float(np.random.rand()), random.random()

    seed_all(7)
    first = draws()
    seed_all(7)
    with kept():
        seed_all(8)
        assert draws() != first
    assert draws() == first
