"""Components of variance: by hand, without bias, and where there are none."""

import numpy as np
import pytest

from reports.statistics.luck import Components, components


def test_by_hand_on_one_split() -> None:
    """Half squared differences: 2 with one start; 8 and 2 of one point; 50, 32 and 18 of two points."""
    found = components(
        np.array([0.0, 2.0, 4.0, 10.0]), np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2]), np.zeros(4, int)
    )
    assert found is not None
    assert found.split is None
    assert found.order == pytest.approx(2)
    assert found.training == pytest.approx(5)
    assert found.sizes == pytest.approx(100 / 3 - 5)


def test_by_hand_on_two_splits() -> None:
    """Means of half squared differences: 2 of one point, 9 of one split, 55 of two splits."""
    points = np.repeat(np.arange(4), 2)
    scores = np.array([0.0, 2, 4, 6, 10, 12, 14, 16])
    found = components(scores, points, np.arange(8), points // 2)
    assert found is not None
    assert (found.sizes, found.split, found.training) == pytest.approx((7, 46, 2))
    assert found.order is None, "no two share an initialisation"


def test_without_bias_whatever_is_missing() -> None:
    generator = np.random.default_rng(3)
    point, repeat = (grid.ravel() for grid in np.meshgrid(np.arange(40), np.arange(5), indexing="ij"))
    start = 3 * point + (repeat + 1) // 2
    rows = []
    for _ in range(400):
        scores = (
            generator.normal(0, 2.0, 40)[point]
            + generator.normal(0, 1.0, 8)[point % 8]
            + generator.exponential(1.5, 120)[start]
            + generator.normal(0, 1.0, 200)
        )
        kept = generator.random(200) < 0.8
        found = components(scores[kept], point[kept], start[kept], (point % 8)[kept])
        assert found is not None
        assert found.split is not None
        assert found.order is not None
        rows.append((found.sizes, found.split, found.training, found.order))
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0) / np.sqrt(400)
    assert (np.abs(mean - (4.0, 1.0, 3.25, 1.0)) < 4 * error + (0, 0.05, 0, 0)).all(), (mean, error)


@pytest.mark.parametrize("scores", [np.full(4, 0.1 + 0.2), np.zeros(4)])
def test_constant_scores_have_no_spread(scores: np.ndarray) -> None:
    assert components(scores, np.array([0, 0, 1, 1]), np.arange(4), np.zeros(4, int)) is None


def test_repeats_that_give_the_same_are_no_luck_but_for_rounding() -> None:
    scores = np.repeat(np.random.default_rng(1).uniform(0.1, 0.9, 30), 3) + 7
    found = components(scores, np.repeat(np.arange(30), 3), np.arange(90), np.zeros(90, int))
    assert isinstance(found, Components)
    assert found.training == 0


def test_pairs_that_are_lacking() -> None:
    scores, one = np.array([1.0, 2.0, 3.0]), np.zeros(3, int)
    assert components(scores, np.arange(3), np.arange(3), one) is None, "nothing was trained again"
    assert components(scores, one, np.arange(3), one) is None, "one point alone"
    assert components(scores[:0], one[:0], one[:0], one[:0]) is None
