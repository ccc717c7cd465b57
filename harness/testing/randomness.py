"""Whether anything draws random numbers from generators that all of a process shares."""

import random
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

T = TypeVar("T")


def asked(question: Callable[..., T], *about: Any) -> tuple[T, str]:
    """The answer, and whose global generator it drew from, in words; "" if nobody's."""
    before = _states()
    answer = question(*about)
    after = _states()
    moved = [whose for whose, state in before.items() if not np.array_equal(state, after[whose])]
    words = f"random numbers were drawn from the global generator of {' and '.join(moved)}" if moved else ""
    return answer, words


def _states() -> dict[str, Any]:
    _, key, position, *rest = np.random.get_state()
    return {
        "torch": torch.random.get_rng_state().numpy(),
        "numpy": np.array([*key, position, *rest]),
        "Python": np.array(random.getstate()[1]),
    }
