"""Search spaces: what may be drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.search.space import Choice, Domain, Float, Int, domain_from_json, domain_to_json

finite = st.floats(-1e6, 1e6)
domains: st.SearchStrategy[Domain] = st.one_of(
    st.tuples(finite, finite).map(lambda ends: Float(min(ends), max(ends))),
    st.tuples(st.integers(1, 99), st.integers(100, 9999), st.booleans()).map(lambda args: Int(*args)),
    st.lists(st.one_of(st.booleans(), st.integers(), finite, st.text()), min_size=1).map(
        lambda options: Choice(tuple(options))
    ),
)


@given(domains)
def test_a_domain_survives_its_plain_form(domain: Domain) -> None:
    again = domain_from_json(domain_to_json(domain))
    assert again == domain
    assert type(again) is type(domain)


@pytest.mark.parametrize("kind", [Float, Int])
def test_low_above_high_is_refused(kind: type[Float] | type[Int]) -> None:
    with pytest.raises(ValueError, match="low 3 is above high 2"):
        kind(3, 2)


@pytest.mark.parametrize("kind", [Float, Int])
@pytest.mark.parametrize("low", [0, -1])
def test_a_logarithmic_range_starts_above_zero(kind: type[Float] | type[Int], low: int) -> None:
    kind(low, 2)
    with pytest.raises(ValueError, match=f"low above 0, found {low}"):
        kind(low, 2, log=True)


@pytest.mark.parametrize("ends", [(float("nan"), 1.0), (0.0, float("inf")), (float("-inf"), 0.0)])
def test_a_range_is_finite(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Float(*ends)


def test_a_choice_has_options() -> None:
    with pytest.raises(ValueError, match="at least one option"):
        Choice(())


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (Float(0.5, 2), [0.5, 1, 2.0], [0.49, 2.01, True, "1", float("nan")]),
        (Int(2, 4), [2, 3, 4], [1, 5, 3.0, True, "3"]),
        (Choice(("a", 2)), ["a", 2], ["b", 3]),
    ],
)
def test_contains_holds_both_ends_and_no_other_type(
    domain: Domain, inside: list[object], outside: list[object]
) -> None:
    assert [value for value in inside if not domain.contains(value)] == []
    assert [value for value in outside if domain.contains(value)] == []
