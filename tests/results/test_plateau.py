"""The rule of the plateau, on series one can read."""

import pytest

from harness.results.plateau import size_has_settled


@pytest.mark.parametrize(
    ("units", "settled"),
    [
        ([50] * 100, True),
        ([*range(1000, 920, -1), *[920] * 20], True),  # still falling before the last fifth, not in it
        ([*[200] * 80, *range(200, 180, -1)], False),  # a tenth lost within it
        ([*[54] * 90, *[53] * 10], True),  # one unit is always allowed
        ([*[54] * 90, *[52] * 10], False),  # two of 54 are more than 2 %
        ([*[1000] * 90, *[981] * 10], True),  # 1.9 %
        ([*[1000] * 90, *[979] * 10], False),  # 2.1 %
        ([*[100] * 80, *[103] * 20], False),  # growing is not settled either
        ([5] * 9, None),  # too short to say
    ],
)
def test_settled_means_no_more_than_two_percent_in_the_last_fifth(units: list[int], settled: bool) -> None:
    assert size_has_settled(units) is settled
