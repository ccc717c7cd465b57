"""Spending: all of alpha, most of it at the end."""

import numpy as np
import pytest

from reports.statistics.looks import spending


def test_the_looks_share_alpha() -> None:
    parts = spending((20, 30, 40, 50, 75, 100), 0.05)
    assert parts.sum() == pytest.approx(0.05)
    assert (np.diff(parts) > 0).all()
    assert parts[0] == pytest.approx(1.17e-5, rel=0.01)  # 2 - 2 Phi(1.96 / sqrt(.2))
    assert spending((50,), 0.05)[0] == pytest.approx(0.05)


@pytest.mark.parametrize("looks", [(), (0, 3), (5, 5), (9, 3)])
def test_looks_grow(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="grow"):
        spending(looks, 0.05)
